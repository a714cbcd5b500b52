"""When a trial, or everything, stops."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TuneError
from localtune.stopper import MaximumIterationStopper, Stopper
from tests.small_runs import Counting, Recorder, fit, reporting, rows, statuses

ENDLESS = {"steps": 10**9}


@pytest.mark.parametrize(
    ("stop", "steps"),
    [
        ({"count": 2}, 2),
        ({"training_iteration": 3}, 3),
        ({"count": 4, "training_iteration": 2}, 2),
        ({"nested/count": 2}, 2),
        ({"nested": {"count": 2}}, 2),
        ({"loss": 0.5}, 1),  # always >=, also for what should get small
        (lambda trial_id, result: result["nested"]["count"] == 3, 3),
        (MaximumIterationStopper(2), 2),
        ([MaximumIterationStopper(4), MaximumIterationStopper(3)], 3),
    ],
)
def test_a_trial_ends_when_any_condition_is_met(tmp_path: Path, stop: Any, steps: int) -> None:
    grid = fit(Counting, tmp_path, ENDLESS, stop=stop)
    assert statuses(grid) == ["TERMINATED"]
    assert grid[0].metrics["count"] == steps
    assert grid[0].metrics["done"] is True
    assert [row["done"] for row in rows(grid[0])] == [False] * (steps - 1) + [True]


def test_a_callable_gets_the_id_and_the_nested_result(tmp_path: Path) -> None:
    seen = []

    def stop(trial_id: str, result: dict[str, Any]) -> bool:
        seen.append((trial_id, result["nested"]["count"]))
        return False

    grid = fit(Counting, tmp_path, {"steps": 2}, stop=stop)
    trial_id = grid[0].metrics["trial_id"]
    assert seen == [(trial_id, 1), (trial_id, 2)]


def test_the_stopper_sees_the_end_of_a_function_too(tmp_path: Path) -> None:
    seen = []
    fit(reporting, tmp_path, stop=lambda trial_id, result: seen.append(result["done"]))
    assert seen == [False, True]


@pytest.mark.parametrize("trials", [1, 3])
def test_a_key_that_no_result_has_is_named_once_with_a_near_miss(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], trials: int
) -> None:
    grid = fit(Counting, tmp_path, stop={"countt": 2}, verbose=1, num_samples=trials)
    assert [result.metrics["count"] for result in grid] == [3] * trials
    out, err = capfd.readouterr()
    assert (out + err).count("'countt'") == 1
    assert "Did you mean 'count'?" in out + err


class StopAll(Stopper):
    """Stops everything after some results."""

    def __init__(self, results: int) -> None:
        self.left = results

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.left -= 1
        return False

    def stop_all(self) -> bool:
        return self.left <= 0


@pytest.mark.parametrize("as_list", [False, True])
def test_stop_all_ends_running_and_waiting_trials_at_once(tmp_path: Path, as_list: bool) -> None:
    recorder = Recorder()
    stopper = StopAll(3)
    stop: Any = [stopper] if as_list else stopper
    grid = fit(Counting, tmp_path, ENDLESS, num_samples=3, stop=stop, callbacks=[recorder])
    assert set(statuses(grid)) == {"TERMINATED"}
    assert not any(call[0] in ("complete", "save", "checkpoint") for call in recorder.calls)
    assert recorder.calls[-1] == ("end", 3)


@pytest.mark.parametrize("budget", [0.2, datetime.timedelta(milliseconds=200)])
@pytest.mark.parametrize("num_samples", [1, -1])
def test_the_time_budget_ends_everything(tmp_path: Path, budget: Any, num_samples: int) -> None:
    recorder = Recorder()
    grid = fit(
        Counting,
        tmp_path,
        ENDLESS,
        time_budget_s=budget,
        num_samples=num_samples,
        max_concurrent_trials=1,
        callbacks=[recorder],
    )
    assert statuses(grid) == ["TERMINATED"]
    assert grid[0].checkpoint is None, "checkpoint_at_end does not hold for a budget"
    assert ("complete", 0) not in recorder.calls


@pytest.mark.parametrize("budget", [None, 0, datetime.timedelta(0)])
def test_no_budget_stops_nothing(tmp_path: Path, budget: Any) -> None:
    assert fit(Counting, tmp_path, time_budget_s=budget)[0].metrics["count"] == 3


def test_an_exception_of_a_stop_condition_ends_the_run(tmp_path: Path) -> None:
    def stop(trial_id: str, result: dict[str, Any]) -> bool:
        raise KeyError("typo")

    recorder = Recorder()
    with pytest.raises(TuneError, match=r"stopper raised KeyError: 'typo'[\s\S]*in stop"):
        fit(Counting, tmp_path, stop=stop, callbacks=[recorder])
    assert recorder.calls[-1] == ("end", 1)


def test_done_in_a_result_ends_a_function_at_that_report(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"x": 1, "done": True})
        Path(config["marker"]).touch()
        tune.report({"x": 2})

    marker = tmp_path / "went_on"
    grid = fit(train, tmp_path, {"marker": str(marker)})
    assert [row["x"] for row in rows(grid[0])] == [1]
    assert statuses(grid) == ["TERMINATED"]
    assert not marker.exists()
