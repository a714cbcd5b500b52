"""The best trials are found by SQL, and are those that a look at all trials finds."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reader import _SELECT_ALL
from localtune.storage.reading import read_experiment
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.best import best_of
from tests.records import add_results, make_trial

VALUES: list[Any] = [
    *(0.5, 2, 0.25, math.nan, 0.25, None, math.inf, 2.0, -math.inf, True, 0.75, 2),
    *(10**30, -(10**30), 2**53 + 1),
]


def save(
    directory: Path, values: Sequence[Any], status: Status, metric: str = "loss"
) -> list[Trial]:
    """Saves a run with one trial for each value; None is a trial without results."""
    trials = [make_trial(directory, number) for number in range(len(values))]
    for trial, value in zip(trials, values, strict=True):
        if value is not None:
            add_results(trial, [{"loss": 7, "other": 7}, {"loss": value, "other": trial.seed}])
        trial.status = status
        trial.close()
    with contextlib.closing(ExperimentDB(str(directory))) as db:
        db.start_work(metric, "min")
        db.save(trials)
    return trials


def loss_of(trial: Trial) -> float:
    stats = trial.stats_of("loss")
    assert stats is not None
    return stats.last


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("status", [Status.TERMINATED, Status.ERROR])
def test_the_best_ended_trials_are_those_of_all(status: Status, mode: str, tmp_path: Path) -> None:
    trials = save(tmp_path, VALUES, status)
    finite = [
        (number, loss_of(trial))
        for number, trial in enumerate(trials)
        if trial.metric_stats and math.isfinite(loss_of(trial))
    ]
    ranked = []
    while finite:
        best = best_of([(each, each[1]) for each in finite], mode)
        assert best is not None
        ranked.append(best[0])
        finite.remove(best)

    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        for count in (1, 2, 3, 5, len(ranked), len(VALUES)):
            found = db.load_best(mode, count)
            assert list(found) == sorted(ranked[:count])
            assert [found[number].trial_id for number in found] == [
                trials[number].trial_id for number in found
            ]


def test_trials_that_have_not_ended_come_with_the_best(tmp_path: Path) -> None:
    trials = save(tmp_path, [3, 1, 2], Status.TERMINATED)
    running = make_trial(tmp_path, 3)
    running.status = Status.RUNNING
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([running])
        db.add_result(running, 1, {"loss": 0.5, "config": {}})
        db.save(())

    found = read_experiment(str(tmp_path), best=1)

    assert [each.trial_id for each in found.trials] == [trials[1].trial_id, running.trial_id]
    assert [loss_of(each) for each in found.trials] == [1, 0.5]
    assert found.numbers == [1, 3]
    assert found.run.counts == {"TERMINATED": 3, "RUNNING": 1}


def test_numbers_count_the_trials_of_a_run(tmp_path: Path) -> None:
    save(tmp_path, [3, 1, 2], Status.TERMINATED)
    later = make_trial(tmp_path, 3)
    add_results(later, [{"loss": 1}])
    later.status = Status.TERMINATED
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.begin_run(started=1.0)
        db.start_work("loss", "min")
        db.save([later])

    assert read_experiment(str(tmp_path), best=1).numbers == [0]
    assert read_experiment(str(tmp_path), run=1, best=1).numbers == [1]


def test_a_run_that_goes_on_with_another_metric_ranks_its_trials_by_that(tmp_path: Path) -> None:
    trials = save(tmp_path, [3, 1, 2], Status.TERMINATED, metric="other")
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.start_work("loss", "min")

    (best,) = read_experiment(str(tmp_path), best=1).trials

    assert best.trial_id == trials[1].trial_id


def test_without_a_goal_all_trials_are_read(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([make_trial(tmp_path, number) for number in range(3)])

    assert len(read_experiment(str(tmp_path), best=1).trials) == 3


def test_the_trials_of_a_run_are_those_that_it_has_created(tmp_path: Path) -> None:
    trials = [make_trial(tmp_path, number) for number in range(5)]
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save(trials[:2])
        db.begin_run(started=1.0)
        db.save(trials[2:3])
        db.select_run(1)
        db.save(trials[3:])
        db.save(trials[:1])

    for run, expected in ((1, [*trials[:2], *trials[3:]]), (2, trials[2:3])):
        found = read_experiment(str(tmp_path), run).trials
        assert [each.trial_id for each in found] == [each.trial_id for each in expected]


def test_the_records_of_a_run_are_not_sorted(tmp_path: Path) -> None:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        plan = db._select(f"EXPLAIN QUERY PLAN {_SELECT_ALL}", (1,))
    assert not [step for *_, step in plan if "TEMP B-TREE" in step]
