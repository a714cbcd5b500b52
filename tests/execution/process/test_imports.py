"""Imports in the bodies of trainables: done once per sweep, unless trials would notice it."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.execution.process import fork_launcher

Write = Callable[[str, str], Path]


@pytest.fixture
def write_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that counts as installed; returns the file with the ids of its importers."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return writer(folder)


def writer(folder: Path) -> Write:
    def write(name: str, source: str) -> Path:
        pids = folder / f"{name}.pids"
        head = f"""
            import os
            pids = {str(pids)!r}
            is_first = not os.path.exists(pids)
            with open(pids, "a") as file:
                file.write(f"{{os.getpid()}}\\n")
        """
        (folder / f"{name}.py").write_text(textwrap.dedent(head) + textwrap.dedent(source))
        return pids

    return write


def fit(trainable: Any, tmp_path: Path, num_samples: int = 3, **options: Any) -> Any:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(num_samples=num_samples),
        run_config=tune.RunConfig(storage_path=tmp_path / "results", verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method="template", **options),
    ).fit()


def importers(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()]


def imports_one(config: dict[str, Any]) -> dict[str, Any]:
    import imported_ahead  # type: ignore[import-not-found]

    return {"value": imported_ahead.value}


class ImportsOne(tune.Trainable):
    """Imports in a method."""

    def setup(self, config: dict[str, Any]) -> None:
        import imported_ahead

        self.value = imported_ahead.value

    def step(self) -> dict[str, Any]:
        return {"value": self.value, "done": True}


@pytest.mark.parametrize("trainable", [imports_one, ImportsOne])
def test_a_module_that_trials_import_is_imported_once(
    tmp_path: Path, write_library: Write, trainable: Any
) -> None:
    pids = write_library("imported_ahead", "value = 7\n")
    grid = fit(trainable, tmp_path)
    assert [result.metrics["value"] for result in grid] == [7] * 3
    (pid,) = importers(pids)
    assert pid not in [result.metrics["pid"] for result in grid]


def sets_before(config: dict[str, Any]) -> dict[str, Any]:
    os.environ["FOR_THE_MODULE"] = "8"
    import imported_ahead

    return {"value": imported_ahead.value}


def test_a_module_is_imported_behind_the_change_of_the_environment_that_it_needs(
    tmp_path: Path, write_library: Write
) -> None:
    pids = write_library("imported_ahead", "value = int(os.environ['FOR_THE_MODULE'])\n")
    grid = fit(sets_before, tmp_path)
    assert [result.metrics["value"] for result in grid] == [8] * 3
    assert importers(pids) == [result.metrics["pid"] for result in grid]


def test_each_trial_runs_a_module_of_the_user_whose_libraries_are_imported_once(
    tmp_path: Path, write_library: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "of_the_user"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    source = "import used_by_it\nvalue = os.getcwd()\n"
    own, library = writer(folder)("imported_ahead", source), write_library("used_by_it", "")
    grid = fit(imports_one, tmp_path)
    assert [result.metrics["value"] for result in grid] == [result.path for result in grid]
    assert importers(own) == [result.metrics["pid"] for result in grid]
    assert len(importers(library)) == 1


def imports_two(config: dict[str, Any]) -> dict[str, Any]:
    import faultless  # type: ignore[import-not-found] # noqa: F401
    import faulty  # type: ignore[import-not-found] # noqa: F401

    return {}


FAULTS = {
    "raises": "raise LookupError",
    "ends its process": "os._exit(0)",
    "hangs": "import time; time.sleep(600)",
    "starts a thread": "import threading; threading.Thread(target=threading.Event().wait).start()",
    "changes the directory": "os.chdir('/')",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_module_with_which_trials_cannot_be_forked_is_imported_by_each(
    tmp_path: Path, write_library: Write, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(fork_launcher, "_IMPORT_LIMIT_S", 1.0 if fault == "hangs" else 120.0)
    pids = write_library("faulty", f"if is_first:\n    {FAULTS[fault]}\n")
    others = write_library("faultless", "")
    grid = fit(imports_two, tmp_path)
    assert not grid.errors
    assert importers(pids)[1:] == [result.metrics["pid"] for result in grid]
    # The template that took over has imported it again, and no trial.
    assert len(importers(others)) == 2


# {source: why trials cannot be forked from a process that has run it}
UNSAFE = {
    "value = 7": "",
    "import os; os.environ['NEW'] = '1'": "",
    "kept = open('/dev/urandom')": "",
    "raise SystemExit(0)": "importing it raised SystemExit: 0",
    "import subprocess; subprocess.Popen(['sleep', '600'])": "importing it starts processes",
    "import os; os.environ['OLD'] = '2'": "importing it changes the environment variable OLD",
    "import os; del os.environ['OLD']": "importing it changes the environment variable OLD",
    "import os; os.environ['CUDA_VISIBLE_DEVICES'] = '0'": (
        "importing it changes the environment variable CUDA_VISIBLE_DEVICES"
    ),
    "import sys; sys.path.append('/')": "importing it changes sys.path",
    "import signal; signal.signal(10, print)": "importing it changes what signals do",
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [10])": (
        "importing it changes what signals do"
    ),
    "kept = open('/proc/self/stat')": "importing it leaves a file open",
    "import socket; kept = socket.socket()": "importing it leaves a file open (socket:",
    "import os, warnings; os.register_at_fork(before=lambda: warnings.warn('never fork'))": (
        "a fork after importing it warns: never fork"
    ),
}
TRIES_EACH = """
import os, sys
from pathlib import Path
from localtune.execution.process.imports import import_ahead
from localtune.worker.lifeline import adopt_orphans, end_children
os.environ["OLD"] = "1"
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
adopt_orphans()
for number, source in enumerate({sources!r}):
    Path(f"module_{{number}}.py").write_text(source)
    pid = os.fork()
    if pid == 0:
        sys.path.insert(0, os.getcwd())
        print(repr(import_ahead([(f"module_{{number}}", ())], 60.0, str)), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    end_children()
"""


def test_what_an_import_must_leave_alone(tmp_path: Path) -> None:
    code = TRIES_EACH.format(sources=list(UNSAFE))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    answers = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    for (source, reason), answer in zip(UNSAFE.items(), answers, strict=True):
        assert answer.startswith(reason) and bool(answer) == bool(reason), (source, answer)


def test_an_import_that_fails_is_an_error_of_the_trial(
    tmp_path: Path, write_library: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write_library("imported_ahead", "raise LookupError('in every process')\n")
    grid = fit(imports_one, tmp_path, num_samples=2)
    assert [type(error.cause) for error in grid.errors] == [LookupError, LookupError]
    text = Path(grid[0].path, "error.txt").read_text()
    assert "import imported_ahead" in text
    assert not caplog.records


# -- what the user names ---------------------------------------------------------------------------


def test_only_what_the_user_names_is_imported_ahead(tmp_path: Path, write_library: Write) -> None:
    named, pids = write_library("named", ""), write_library("imported_ahead", "value = 7\n")
    assert not fit(imports_one, tmp_path, num_samples=2, preload=["named"]).errors
    assert (len(importers(named)), len(importers(pids))) == (1, 2)


GIVEN = {
    "raises": ("raise LookupError('no')", "importing it raised LookupError: no."),
    "exits": ("raise SystemExit", "importing it raised SystemExit."),
    "hangs": ("import time; time.sleep(600)", "importing it took longer than 1 s."),
    "ends its process": ("os._exit(3)", "importing it ended the process (exit code 3)."),
    "starts a thread": (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "importing it starts threads (Thread-1 (wait)).",
    ),
    "starts a process": (
        "import subprocess; subprocess.Popen(['sleep', '600'])",
        "importing it starts processes.",
    ),
}


@pytest.mark.parametrize("fault", GIVEN)
def test_a_run_goes_on_without_a_preload_that_fails_and_says_so_once(
    tmp_path: Path,
    write_library: Write,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    monkeypatch.setattr(fork_launcher, "_IMPORT_LIMIT_S", 1.0 if fault == "hangs" else 120.0)
    source, reason = GIVEN[fault]
    write_library("given", f"{source}\n")
    write_library("imported_ahead", "value = 7\n")
    with caplog.at_level(logging.WARNING, logger="localtune"):
        grid = fit(imports_one, tmp_path, preload=["given"])
    assert not grid.errors
    (record,) = caplog.records
    assert record.getMessage().startswith(f"preload names 'given', but {reason} The run goes on")


def caps(config: dict[str, Any]) -> dict[str, Any]:
    import sklearn.utils._openmp_helpers
    import threadpoolctl

    pools = threadpoolctl.threadpool_info()
    most = sklearn.utils._openmp_helpers._openmp_effective_n_threads()
    return {"openmp": most, "pools": sorted({pool["num_threads"] for pool in pools})}


def test_trials_use_as_many_threads_as_they_have_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    grid: Any = tune.Tuner(
        tune.with_resources(caps, lambda config: {"cpu": config["cpus"]}),
        param_space={"cpus": tune.grid_search([1, 2])},
        run_config=tune.RunConfig(storage_path=tmp_path / "results", verbose=0),
        executor=tune.ProcessExecutor(num_cpus=3, start_method="template"),
    ).fit()
    found = [(result.metrics["openmp"], result.metrics["pools"]) for result in grid]
    assert found == [(1, [1]), (2, [2])]
