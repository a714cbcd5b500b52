"""Code of ``__main__`` in workers, however ``__main__`` came to be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs.lifecycle.programs import START_METHODS, run_for_json

HELPER = """
import localtune as tune
ANSWER = 42
def train(config):
    tune.report({"value": ANSWER})
"""
SHORT = """
import json, os, sys
import localtune as tune
with open("runs", "a") as file:
    file.write("run\\n")
offset = 2
def train(config):
    tune.report({"value": config["x"] + offset, "argv": list(sys.argv)})
grid = tune.Tuner(
    train,
    param_space={"x": 1},
    run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
    executor=tune.ProcessExecutor(num_cpus=1, start_method=sys.argv[1]),
).fit()
assert not grid.errors, grid.errors[0]
print(json.dumps(grid[0].metrics))
"""


@pytest.fixture(scope="module", params=START_METHODS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Returns the output of the script, and its directory."""
    cwd = tmp_path_factory.mktemp("script")
    script = cwd / "scripts" / "sweep.py"
    script.parent.mkdir()
    shutil.copy(Path(__file__).with_name("main_script.py"), script)
    (script.parent / "helper_beside_the_script.py").write_text(HELPER)
    answers = run_for_json(["scripts/sweep.py", request.param, "--flag"], cwd)
    return {**answers, "cwd": cwd, "start method": request.param}


def test_a_script_without_a_guard_runs_once(told: Any) -> None:
    assert (told["cwd"] / "runs").read_text() == "run\n"


@pytest.mark.parametrize(
    ("kind", "value"), [("lambda", 2), ("closure", 3), ("local class", 4), ("imported", 42)]
)
def test_a_worker_runs_code_of_every_kind(told: Any, kind: str, value: int) -> None:
    assert told[kind] == value


@pytest.mark.parametrize(("kind", "value"), [("partial", 5), ("bound method", 6)])
def test_a_worker_can_pickle_objects_that_wrapped_code_of_main_refers_to(
    told: Any, kind: str, value: int
) -> None:
    assert told[kind]["value"] == value
    assert told[kind]["is_same"] is True


def test_a_function_named_like_one_of_the_package_is_found_in_main(told: Any) -> None:
    assert told["main"] is True


def test_a_class_of_main_that_a_worker_pickled_plainly_is_read_by_the_script(told: Any) -> None:
    assert told["note"] == [True, "from the worker"]


def test_a_worker_sees_the_arguments_of_the_script(told: Any) -> None:
    assert told["surroundings"]["argv"] == ["scripts/sweep.py", told["start method"], "--flag"]


def test_a_worker_imports_from_where_the_script_does(told: Any) -> None:
    assert told["surroundings"]["path"] == told["own path"]
    assert told["surroundings"]["is_helper"] == 42


def test_the_main_of_a_worker_holds_nothing_of_the_package_itself(told: Any) -> None:
    names = {name for name in told["surroundings"]["main"] if not name.startswith("__")}
    assert names <= {"surroundings", "tune", "sys"}


@pytest.mark.parametrize("start_method", START_METHODS)
def test_code_of_the_command_line_runs_in_workers(tmp_path: Path, start_method: str) -> None:
    metrics = run_for_json(["-c", SHORT, start_method], tmp_path)
    assert metrics["value"] == 3
    assert metrics["argv"] == ["-c", start_method]
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_script_from_standard_input_runs_in_workers(tmp_path: Path, start_method: str) -> None:
    metrics = run_for_json(["-", start_method], tmp_path, stdin=SHORT)
    assert metrics["value"] == 3
    assert (tmp_path / "runs").read_text() == "run\n"


@pytest.mark.parametrize("start_method", START_METHODS)
def test_relative_entries_of_the_search_path_keep_their_meaning(
    tmp_path: Path, start_method: str
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "beside.py").write_text(HELPER)
    code = "import sys; sys.path.insert(0, 'lib')\n"
    code += SHORT.replace('config["x"]', '__import__("beside").ANSWER')
    assert run_for_json(["-c", code, start_method], tmp_path)["value"] == 44


@pytest.mark.parametrize("start_method", START_METHODS)
def test_modules_in_the_current_directory_do_not_shadow_modules_of_workers(
    tmp_path: Path, start_method: str
) -> None:
    (tmp_path / "here").mkdir()
    for name in ("pickle", "struct", "socket", "select", "faulthandler"):
        (tmp_path / "here" / f"{name}.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "script.py").write_text(SHORT)
    assert run_for_json(["../script.py", start_method], tmp_path / "here")["value"] == 3
