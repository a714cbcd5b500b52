"""The hops of a config and of a result, as docs/architecture.md lists them, are those of a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "architecture.md"
TITLE = "## One config, from `Tuner(...)` to `step()`, and one result back"
# Records all calls of functions of the package: in the parent, and in the worker from `serve` on.
PROGRAM = """
import json, os, sys, traceback
import localtune as tune

PACKAGE = os.path.dirname(os.path.abspath(tune.__file__))
NAMES = ("parent.json", "worker.json")


def hop(file, function):
    return f"{os.path.relpath(file, PACKAGE)}:{function}".replace(os.sep, "/")


def record(hops):
    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            hops.append(hop(frame.f_code.co_filename, frame.f_code.co_name))

    sys.setprofile(note)


class Trained(tune.Trainable):
    def setup(self, config):
        stack = traceback.extract_stack()
        self.hops = [hop(each.filename, each.name) for each in stack]
        record(self.hops)

    def step(self):
        return {"loss": 1.0, "done": self.iteration >= 2}

    def cleanup(self):
        sys.setprofile(None)
        with open(sys_directory + "/worker.json", "w") as file:
            json.dump(self.hops, file)


sys_directory = os.getcwd()
hops = []
tune.run  # what a first use of a name imports is no hop
record(hops)
tune.Tuner(
    Trained,
    param_space={"x": tune.uniform(0, 1)},
    tune_config=tune.TuneConfig(metric="loss", mode="min"),
    run_config=tune.RunConfig(storage_path=sys_directory, name="hops", verbose=0),
    executor=tune.ProcessExecutor(num_cpus=1),
).fit()
sys.setprofile(None)
with open("parent.json", "w") as file:
    json.dump(hops, file)
"""


def lists() -> list[list[str]]:
    """The hops that the page names: down in the parent, in the worker, back in the parent."""
    text = PAGE.read_text(encoding="utf-8").split(TITLE, 1)[1].split("\n## ", 1)[0]
    found: list[list[str]] = []
    for number, name in re.findall(r"^(\d+)\. `([\w/]+\.py:\w+)`", text, flags=re.MULTILINE):
        if number == "1":
            found.append([])
        found[-1].append(name)
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """{"parent" or "worker": all calls in it, in order}."""
    directory = tmp_path_factory.mktemp("hops")
    (directory / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "program.py"]
    subprocess.run(command, cwd=directory, env=environment, check=True, timeout=120)
    return {
        name: json.loads(Path(directory, f"{name}.json").read_text())
        for name in ("parent", "worker")
    }


def missing(wanted: list[str], calls: list[str]) -> list[str]:
    """The rest of the wanted hops from the first that does not follow those before it."""
    rest = iter(calls)
    for number, hop in enumerate(wanted):
        if hop not in rest:
            return wanted[number:]
    return []


def test_a_config_and_a_result_take_the_hops_of_the_page(calls: dict[str, list[str]]) -> None:
    down, worker, back = lists()
    assert missing([*down, *back], calls["parent"]) == []
    assert missing(worker, calls["worker"]) == []


def test_a_hop_out_of_order_is_found() -> None:
    assert missing(["a", "b", "c"], ["a", "x", "b", "c"]) == []
    assert missing(["a", "c", "b"], ["a", "b", "c"]) == ["b"]
