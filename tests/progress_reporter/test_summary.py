from __future__ import annotations

import math
from typing import Any

import pytest

from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import plain
from localtune.progress_reporter.summary import failure_lines, summary_lines
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import PATH, ended_trial, make_trial, user_error

FACTS = RunFacts(PATH, metric="loss", mode="min")


def summary(trials: list[Trial], facts: RunFacts = FACTS, **options: Any) -> list[str]:
    options = {"interrupted": False, "elapsed_s": 83, **options}
    return [plain(line) for line in summary_lines(trials, facts, **options)]


def failed(number: int, message: str, failures: int = 1) -> Trial:
    trial = ended_trial(number, Status.ERROR, loss=1)
    trial.error = user_error(message)
    trial.num_failures = failures
    return trial


def failures(trials: list[Trial]) -> list[str]:
    return [plain(line) for line in failure_lines(trials)]


def test_shows_best_configuration_metrics_paths_and_failures_in_this_order() -> None:
    trials = [
        ended_trial(0, loss=0.5, val={"f1": 0.75}),
        ended_trial(1, loss=0.25, val={"f1": 0.875}),
        failed(2, "ValueError: bad lr"),
    ]
    trials[1].config["lr"] = 0.1 + 0.2

    assert summary(trials) == [
        "",
        "Done in 1m 23s · 2 finished · 1 failed",
        "",
        "Best trial t00001",
        "  Parameters",
        "    lr      0.30000000000000004",
        "    batch   32",
        "  Metrics after 2 iterations, 3.0s",
        "    loss    0.25  (min)",
        "    val/f1  0.875",
        "",
        "Results in /results/sweep",
        "Best trial in /results/sweep/train_t00001",
        "",
        "1 of 3 trials failed",
        "  ValueError: bad lr (train.py:12)",
        "      t00002  1 failure  /results/sweep/train_t00002/error.txt",
    ]


def test_the_best_has_the_largest_metric_with_max() -> None:
    trials = [ended_trial(0, loss=0.5), ended_trial(1, loss=0.25)]
    facts = RunFacts(PATH, metric="loss", mode="max")

    assert "Best trial t00000" in summary(trials, facts)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0"])
def test_a_value_that_is_not_finite_is_never_best(mode: str, value: object) -> None:
    trials = [ended_trial(0, loss=value), ended_trial(1, loss=1)]

    assert "Best trial t00001" in summary(trials, RunFacts(PATH, metric="loss", mode=mode))


def test_a_best_trial_that_failed_later_is_marked() -> None:
    assert "Best trial t00000 (failed after its latest result)" in summary([failed(0, "E: x")])


def test_a_metric_that_no_trial_reported_is_explained() -> None:
    facts = RunFacts(PATH, metric="accuracy", mode="max")

    assert (
        "No best trial: no trial reported a finite number as 'accuracy'. Did you mean 'acuracy'?"
        in summary([ended_trial(acuracy=1)], facts)
    )
    assert "No best trial: no trial reported a finite number as 'accuracy'." in summary([], facts)


@pytest.mark.parametrize(
    ("facts", "reason", "name", "mode"),
    [
        (RunFacts(PATH), "name what to optimise with", "val/f1", "min"),
        (RunFacts(PATH, mode="max"), "name what to optimise with", "val/f1", "max"),
        (
            RunFacts(PATH, metric="val/f2"),
            "the mode is missing, min or max. Name it with",
            "val/f2",
            "min",
        ),
    ],
)
def test_the_error_names_a_missing_metric_or_mode(
    facts: RunFacts, reason: str, name: str, mode: str
) -> None:
    lines = summary([ended_trial(val={"f1": 0.5})], facts)

    hint = f'TuneConfig(metric="{name}", mode="{mode}")'
    assert f"No best trial: {reason} {hint}" in lines
    assert "Results in /results/sweep" in lines


def test_the_summary_of_an_interrupted_run_shows_how_to_resume() -> None:
    running = make_trial(1)
    running.set_status(Status.RUNNING)

    lines = summary([ended_trial(0, loss=1), running, make_trial(2)], interrupted=True)

    assert lines[1] == "Interrupted after 1m 23s · 1 unfinished · 1 pending · 1 finished"
    assert lines[-1] == 'To go on with this run: Tuner.restore("/results/sweep", trainable=...)'


def test_trials_that_recovered_are_counted_and_not_listed() -> None:
    trial = ended_trial(loss=1)
    trial.num_failures = 2

    lines = summary([trial])

    assert lines[1] == "Done in 1m 23s · 1 finished · 1 trial recovered from failures"
    assert not any("error.txt" in line for line in lines)


def test_a_run_that_failed_before_its_first_trial_has_a_summary() -> None:
    assert summary([])[1] == "Ended early after 1m 23s · no trials yet"


def test_a_run_that_failed_is_not_called_done() -> None:
    running = make_trial()
    running.set_status(Status.RUNNING)
    lines = summary([ended_trial(loss=1), running])
    assert lines[1] == "Ended early after 1m 23s · 1 unfinished · 1 finished"


def test_trials_without_failures_have_no_list_of_them() -> None:
    assert failures([ended_trial(loss=1), make_trial()]) == []


def test_equal_causes_are_shown_once_the_most_frequent_first() -> None:
    trials = [
        failed(0, "KeyError: 'x'", failures=3),
        *(failed(number, "ValueError: bad lr") for number in range(1, 4)),
        ended_trial(9, loss=1),
    ]

    assert failures(trials) == [
        "4 of 5 trials failed",
        "  3x ValueError: bad lr (train.py:12)",
        "      t00001  1 failure  /results/sweep/train_t00001/error.txt",
        "      t00002  1 failure  /results/sweep/train_t00002/error.txt",
        "      t00003  1 failure  /results/sweep/train_t00003/error.txt",
        "  KeyError: 'x' (train.py:12)",
        "      t00000  3 failures  /results/sweep/train_t00000/error.txt",
    ]


def test_messages_that_name_their_trial_are_the_same_cause() -> None:
    trials = [
        failed(number, f"OSError: train_t0000{number} lost t0000{number}") for number in (0, 1)
    ]

    assert failures(trials)[1] == "  2x OSError: … lost … (train.py:12)"


def test_at_most_ten_trials_are_listed() -> None:
    trials = [failed(number, "ValueError: bad lr") for number in range(30)]

    lines = failures(trials)

    assert sum("error.txt" in line for line in lines) == 10
    assert lines[-1] == "      ... and 20 more"


def test_each_cause_is_listed_before_one_is_listed_in_full() -> None:
    trials = [failed(number, "ValueError: bad lr") for number in range(30)]
    trials += [failed(100 + number, f"E{number}: x") for number in range(4)]

    lines = failures(trials)

    assert sum("error.txt" in line for line in lines) == 10
    assert "      ... and 24 more" in lines
    assert [line for line in lines if line.startswith("  E")] == [
        f"  E{number}: x (train.py:12)" for number in range(4)
    ]


def test_more_than_ten_causes_are_counted() -> None:
    trials = [failed(number, f"E{number}: x") for number in range(13)]

    lines = failures(trials)

    assert sum("error.txt" in line for line in lines) == 10
    assert lines[-1] == "  ... and 3 trials more with other errors"


def test_a_failure_before_the_trial_had_a_worker_has_no_error_file() -> None:
    trial = ended_trial(0, Status.ERROR, loss=1)
    trial.num_failures = 0

    assert failures([trial])[-1] == "      t00000  0 failures"
