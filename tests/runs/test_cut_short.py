"""Trials that the end of a run cut short: shown as ended, and taken up again with the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.config.resume import ResumeConfig
from localtune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher
from localtune.storage.reading import load_trials
from localtune.trial.status import Status
from tests.runs.test_stopping import StopAll
from tests.small_runs import Counting, PauseAlways, make_tuner, processes, rows, statuses


class Waits(Counting):
    """Counts to ``config["steps"]``, but ends only when the file ``config["go"]`` exists.

    The trial of the number ``config["fails"]`` fails at its second step as long as it does not.
    """

    def step(self) -> dict[str, Any]:
        may_go = os.path.exists(self.config["go"])
        if not may_go and self.config["number"] == self.config.get("fails") and self.count == 1:
            raise ValueError("not before go")
        if not may_go and self.count + 1 >= self.config["steps"]:
            self.count -= 1
        return super().step()


# {what ends the run: the options for it}
ENDS: dict[str, dict[str, Any]] = {
    "fail_fast": {"fail_fast": True},
    "max_failed_trials": {"max_failed_trials": 0},
    "stop_all": {},
    "time_budget_s": {"time_budget_s": 0.5},
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("executor", ["inprocess", "processes"])
@pytest.mark.parametrize("scheduler", [None, PauseAlways])
def test_a_run_that_ended_early_goes_on_with_the_trials_that_it_cut_short(
    tmp_path: Path, end: str, executor: str, scheduler: Any
) -> None:
    go = tmp_path / "go"
    space: dict[str, Any] = {"number": tune.grid_search([0, 1, 2]), "steps": 6, "go": str(go)}
    if "fail" in end:
        space["fails"] = 0
    grid = make_tuner(
        Waits,
        tmp_path,
        space,
        executor="inprocess" if executor == "inprocess" else processes(2),
        checkpoint_frequency=1,
        scheduler=scheduler() if scheduler else None,
        stop=StopAll(5) if end == "stop_all" else None,
        **ENDS[end],
    ).fit()
    before = statuses(grid)
    assert before.count("ERROR") == ("fail" in end)
    if end != "max_failed_trials":
        assert set(before) <= {"TERMINATED", "ERROR"}
    for trial in load_trials(grid.experiment_path):
        assert trial.status is not Status.TERMINATED or trial.cut_short is not None
        check_directory(trial)

    go.touch()
    again = restored(grid.experiment_path, resume_errored=True)
    # The stop conditions, and the time budget, begin anew each time.
    while any(trial.cut_short for trial in load_trials(grid.experiment_path)):
        again = restored(grid.experiment_path)
    assert statuses(again) == ["TERMINATED"] * 3
    for result in again:
        assert result.error is None and result.metrics is not None and result.metrics["done"]
        iterations = [row["training_iteration"] for row in rows(result)]
        assert iterations == list(range(1, len(iterations) + 1))
    for trial in load_trials(grid.experiment_path):
        assert trial.cut_short is None
        check_directory(trial)


def restored(path: str, **options: Any) -> tune.ResultGrid:
    return tune.Tuner.restore(path, Waits, executor="inprocess", **options).fit()


def check_directory(trial: Any) -> None:
    """There is what the record of a trial names, and nothing half-written."""
    found = {path.name for path in Path(trial.path).glob("checkpoint_*")}
    assert found == {os.path.basename(each.checkpoint.path) for each in trial.checkpoints}
    assert not list(Path(trial.path).glob(".staging*"))


def test_who_does_not_want_unfinished_trials_does_not_get_those_cut_short(tmp_path: Path) -> None:
    space = {"number": 0, "steps": 6, "go": str(tmp_path / "go")}
    grid = make_tuner(Waits, tmp_path, space, checkpoint_frequency=1, stop=StopAll(2)).fit()
    skip = ResumeConfig(unfinished=ResumeConfig.ResumeType.SKIP)
    again = restored(grid.experiment_path, _resume_config=skip)
    assert statuses(again) == ["TERMINATED"]
    assert len(rows(again[0])) == 2


def test_a_limit_counts_trials_that_were_cut_short_when_they_go_on(tmp_path: Path) -> None:
    go = tmp_path / "go"
    space = {"number": tune.grid_search([0, 1, 2, 3]), "steps": 3, "go": str(go)}
    tuner = make_tuner(
        Waits,
        tmp_path,
        space,
        search_alg=BasicVariantGenerator(max_concurrent=2),
        stop=StopAll(3),
        checkpoint_frequency=1,
    )
    assert len(tuner.fit()) == 2
    go.touch()
    path = str(tmp_path / "run")
    for _ in range(4):
        grid = restored(path)
    assert statuses(grid) == ["TERMINATED"] * 4


class Remembers(Searcher):
    """Suggests numbers; remembers who came and who ended."""

    def __init__(self) -> None:
        super().__init__(metric="count", mode="max")
        self.ended: list[tuple[str, bool]] = []

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"number": 0}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.ended.append((trial_id, result is not None))

    def save(self, checkpoint_path: str) -> None:
        raise NotImplementedError

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError


def test_a_searcher_is_free_for_another_run_and_its_kept_state_for_this_one(
    tmp_path: Path,
) -> None:
    searcher = Remembers()
    limiter = ConcurrencyLimiter(searcher, max_concurrent=1)
    tuner = make_tuner(
        Waits,
        tmp_path,
        {"steps": 3, "go": str(tmp_path / "go"), "fails": None},
        search_alg=limiter,
        num_samples=2,
        stop=StopAll(2),
        checkpoint_frequency=1,
    )
    grid = tuner.fit()
    (trial,) = load_trials(grid.experiment_path)
    assert searcher.ended == [(trial.trial_id, False)]

    (tmp_path / "go").touch()
    for _ in range(3):
        grid = restored(str(tmp_path / "run"))
    assert statuses(grid) == ["TERMINATED"] * 2
