"""reuse_actors: which workers go on to the next trial, and what each trial sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from tests.small_runs import Counting, PauseAlways, fit, processes, rows


class Resets(Counting):
    """Reports its process and how often it was reset; prints, and fails if it is told to."""

    def step(self) -> dict[str, Any]:
        print(f"trial {self.config.get('number')}")
        if self.config.get("fails"):
            raise ValueError("told to fail")
        return {**super().step(), "resets": self.resets, "process": os.getpid()}


class Refuses(Resets):
    """Cannot be reset."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return False


def resets_of(grid: Any) -> list[int | None]:
    return [None if result.error else result.metrics["resets"] for result in grid]


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_one_worker_serves_all_trials_one_after_the_other(tmp_path: Path, executor: str) -> None:
    grid = fit(
        Resets,
        tmp_path,
        num_samples=6,
        reuse_actors=True,
        max_concurrent_trials=1,
        executor=executor if executor == "inprocess" else processes(1),
    )
    assert resets_of(grid) == [0, 1, 2, 3, 4, 5]
    assert len({result.metrics["process"] for result in grid}) == 1


def test_workers_are_not_reused_by_default(tmp_path: Path) -> None:
    grid = fit(Resets, tmp_path, num_samples=3, executor=processes(1))
    assert resets_of(grid) == [0, 0, 0]
    assert len({result.metrics["process"] for result in grid}) == 3


def test_paused_trials_give_their_worker_to_the_next(tmp_path: Path) -> None:
    grid = fit(
        Resets,
        tmp_path,
        {"steps": 2},
        num_samples=4,
        reuse_actors=True,
        scheduler=PauseAlways(),
        executor=processes(1),
    )
    assert resets_of(grid) == [4, 5, 6, 7]
    assert [[row["count"] for row in rows(result)] for result in grid] == [[1, 2]] * 4


def test_the_worker_of_a_failed_trial_is_never_reused(tmp_path: Path) -> None:
    fails = [False, True, False, False, True, True, False, False, False]
    grid = fit(
        Resets,
        tmp_path,
        {"fails": tune.grid_search(fails)},
        reuse_actors=True,
        max_concurrent_trials=1,
        executor=processes(1),
    )
    # The second trial fails in the worker of the first.
    assert resets_of(grid) == [0, None, 0, 1, None, None, 0, 1, 2]


def test_a_refused_reset_gets_a_new_process_and_one_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = fit(
        Refuses, tmp_path, num_samples=4, reuse_actors=True, executor=processes(1), verbose=1
    )
    assert resets_of(grid) == [0, 0, 0, 0]
    assert len({result.metrics["process"] for result in grid}) == 4
    out, err = capfd.readouterr()
    assert (out + err).count("reuse_actors=True has no effect") == 1


def test_functions_are_reused(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, int]:
        return {"process": os.getpid()}

    grid = fit(
        train,
        tmp_path,
        num_samples=4,
        reuse_actors=True,
        max_concurrent_trials=1,
        executor=processes(1),
    )
    assert len({result.metrics["process"] for result in grid}) == 1


def test_another_resource_request_gets_another_worker(tmp_path: Path) -> None:
    trainable = tune.with_resources(Resets, lambda config: {"cpu": config["number"]})
    grid = fit(
        trainable,
        tmp_path,
        {"number": tune.grid_search([1, 1, 2, 2])},
        reuse_actors=True,
        max_concurrent_trials=1,
        executor=processes(2),
    )
    assert resets_of(grid) == [0, 1, 0, 1]


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("files", [True, "log", ("out", "err"), ("out", None)])
def test_each_trial_has_its_own_output_in_its_files(
    tmp_path: Path, reuse: bool, files: Any
) -> None:
    grid = fit(
        Resets,
        tmp_path,
        {"number": tune.grid_search([0, 1, 2]), "steps": 2},
        reuse_actors=reuse,
        log_to_file=files,
        executor=processes(1),
    )
    name = {True: "stdout", "log": "log"}.get(files if isinstance(files, str | bool) else "", "out")
    for number, result in enumerate(grid):
        assert Path(result.path, name).read_text() == f"trial {number}\n" * 2
