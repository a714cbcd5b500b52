"""Process pools inside trials, with every start method of multiprocessing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs.lifecycle.programs import START_METHODS, run_for_json

DOUBLES = [0, 2, 4, 6]
SPAWNING = ("spawn", "forkserver")
EXPECTED = {
    "pool": DOUBLES,
    "initializer": [0, 10, 20, 30],
    "executor": DOUBLES,
    "class": [True, 2, 3],
    "process": 42,
    "nested pool": [8],
}
# The sweep runs in a process that multiprocessing has spawned: its script has another name there.
SPAWNED_SWEEP = """
import json, multiprocessing, os, sys
import localtune as tune
def double(number):
    return 2 * number
def train(config):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        tune.report({"answer": pool.map(double, range(4))})
def sweep(start_method):
    grid = tune.Tuner(
        train,
        run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    print(json.dumps(grid[0].metrics.get("answer", str(grid[0].error))))
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=sweep, args=(sys.argv[1],))
    child.start()
    child.join()
"""


@pytest.fixture(scope="module", params=START_METHODS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the script says, {use and start method: answer}, and where it ran."""
    cwd = tmp_path_factory.mktemp("pools")
    shutil.copy(Path(__file__).with_name("pools_script.py"), cwd / "sweep.py")
    return {**run_for_json(["sweep.py", request.param], cwd), "cwd": cwd}


@pytest.mark.parametrize("method", SPAWNING)
@pytest.mark.parametrize("use", EXPECTED)
def test_a_spawned_process_finds_code_of_the_script(told: Any, use: str, method: str) -> None:
    assert told[f"{use} {method}"] == EXPECTED[use]


@pytest.mark.parametrize("use", ["pool", "executor", "joblib"])
def test_a_forked_process_finds_code_of_the_script(told: Any, use: str) -> None:
    assert told[f"{use} fork"] == DOUBLES


@pytest.mark.parametrize("method", SPAWNING)
def test_a_function_that_cannot_be_sent_raises_at_once(told: Any, method: str) -> None:
    assert "local" in told[f"local function {method}"]


@pytest.mark.parametrize("method", SPAWNING)
def test_a_function_that_only_the_config_refers_to_raises_at_once(told: Any, method: str) -> None:
    assert "only_in_the_config" in told[f"function of the config {method}"]


def test_no_process_of_a_trial_runs_the_script_once_more(told: Any) -> None:
    assert (told["cwd"] / "runs").read_text() == "run\n"


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_sweep_in_a_spawned_process_sends_code_of_its_script(
    tmp_path: Path, start_method: str
) -> None:
    (tmp_path / "sweep.py").write_text(SPAWNED_SWEEP)
    assert run_for_json(["sweep.py", start_method], tmp_path) == DOUBLES
