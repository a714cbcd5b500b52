from __future__ import annotations

import numpy as np

from localtune.progress_reporter.tracker import Counts, TrialTracker
from localtune.trial.status import Status
from tests.progress_reporter.runs import ended_trial, make_trial


def test_a_trial_is_counted_by_its_status() -> None:
    tracker = TrialTracker("loss", "min")
    trial = make_trial()
    assert tracker.counts(2) == Counts(running=0, pending=2, paused=0, finished=0, failed=0)

    assert tracker.started(trial)
    assert tracker.counts(2) == Counts(running=1, pending=1, paused=0, finished=0, failed=0)

    tracker.set_status(trial, Status.PENDING)
    assert tracker.counts(2).pending == 2

    assert not tracker.started(trial)
    tracker.set_status(trial, Status.TERMINATED)
    assert tracker.counts(2) == Counts(running=0, pending=1, paused=0, finished=1, failed=0)
    assert tracker.ended_now == 1


def test_the_parts_of_the_counts_add_up() -> None:
    counts = Counts(running=1, pending=2, paused=3, finished=4, failed=5)

    assert (counts.ended, counts.all) == (9, 15)


def test_paused_trials_are_found_without_a_hook() -> None:
    tracker = TrialTracker("loss", "min")
    trials = [make_trial(i) for i in range(3)]
    for trial in trials:
        trial.set_status(Status.RUNNING)
        tracker.started(trial)
    trials[1].set_status(Status.PAUSED)
    trials[2].set_status(Status.TERMINATED)

    assert tracker.newly_paused() == [trials[1]]
    assert tracker.newly_paused() == []
    assert tracker.counts(3) == Counts(running=1, pending=0, paused=1, finished=1, failed=0)


def test_trials_of_an_earlier_session_count_and_are_no_progress_of_this_one() -> None:
    tracker = TrialTracker("loss", "min")
    trials = [ended_trial(0, loss=1), ended_trial(1, Status.ERROR, loss=2), make_trial(2)]

    tracker.add_earlier(trials)

    assert tracker.counts(3) == Counts(running=0, pending=1, paused=0, finished=1, failed=1)
    assert tracker.ended_now == 0
    assert tracker.leaderboard.best(5) == trials[:2]


def test_parameters_that_vary_are_shown() -> None:
    tracker = TrialTracker(None, None)
    for number in range(3):
        tracker.started(make_trial(number))

    assert tracker.shown_parameters == ["lr"]


def test_all_parameters_are_shown_while_none_varies() -> None:
    tracker = TrialTracker(None, None)
    tracker.started(make_trial(0))

    assert tracker.shown_parameters == ["lr", "batch"]


def test_values_that_cannot_be_compared_vary() -> None:
    tracker = TrialTracker(None, None)
    for number in range(2):
        tracker.started(make_trial(number, params={"weights": np.array([1, 2]), "batch": 32}))

    assert tracker.shown_parameters == ["weights"]
