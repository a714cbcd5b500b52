"""What the output costs does not grow with the number of trials: work is counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import Run, make_trial, report
from tests.progress_reporter.screen import FakeTerminal

SLOTS = 8


class CountedTrials(list[Trial]):
    """Counts the iterations over all trials."""

    walks = 0

    def __iter__(self) -> Iterator[Trial]:
        self.walks += 1
        return super().__iter__()


class CountedTrial(Trial):
    """Counts the reads of results."""

    reads = 0

    def __getattribute__(self, name: str) -> Any:
        CountedTrial.reads += name == "last_result"
        return super().__getattribute__(name)


def counted_trial(number: int) -> Trial:
    plain = make_trial(number)
    params = plain.evaluated_params
    return CountedTrial(
        "train", trial_id=plain.trial_id, config=dict(params), evaluated_params=params
    )


def run_of(trials: int, stream: Any, verbose: int = 1) -> Run:
    """A run that has gone through all but the last few of its trials."""
    run = Run(verbose, stream=stream, total_samples=trials)
    run.trials = CountedTrials(counted_trial(number) for number in range(trials))
    run.setup()
    for number, trial in enumerate(run.trials[: trials - SLOTS]):
        run.start(trial)
        run.result(trial, 1, loss=float(number * 7919 % trials))
        run.finish(trial)
        run.step(0.01)
    for trial in run.trials[trials - SLOTS :]:
        run.start(trial)
        run.result(trial, 1, loss=0.5)
    return run


def reads_of_refreshes(trials: int) -> int:
    run = run_of(trials, FakeTerminal())
    before = CountedTrial.reads
    for _ in range(10):
        run.step(1)
    return CountedTrial.reads - before


@pytest.mark.long
def test_a_refresh_looks_at_no_more_trials_among_ten_thousand_than_among_a_hundred() -> None:
    assert reads_of_refreshes(10_000) == reads_of_refreshes(100) > 0


@pytest.mark.parametrize("stream", [None, FakeTerminal()])
def test_ten_thousand_trials_are_walked_once(stream: Any) -> None:
    run = run_of(10_000, stream)
    run.step(60)

    assert isinstance(run.trials, CountedTrials)
    assert run.trials.walks == 1


@pytest.mark.parametrize("verbose", [1, 2, 3])
def test_results_between_two_refreshes_cost_no_output_and_no_look_at_trials(verbose: int) -> None:
    run = run_of(50, FakeTerminal(), verbose)
    run.step(1)
    trial = run.trials[-1]
    reads, length = CountedTrial.reads, len(run.text)
    for iteration in range(2, 5_000):
        run.output.on_trial_result(0, run.trials, trial, report(trial, iteration, loss=0.25))
        run.step()

    assert CountedTrial.reads == reads
    assert len(run.text) == length


@pytest.mark.long
def test_the_best_of_ten_thousand_trials_are_shown() -> None:
    stream = FakeTerminal()
    run = run_of(10_000, stream)
    run.step(1)

    lines = stream.screen().lines
    assert "8 running · 9,992 finished" in lines[2]
    shown = [
        line.split()[2] for line in lines if line.startswith("t0") and " iteration " not in line
    ]
    assert shown == ["0", *["0.5"] * 4]


def test_paused_trials_are_looked_at_once() -> None:
    run = Run(stream=FakeTerminal())
    run.trials = [counted_trial(number) for number in range(1000)]
    for number, trial in enumerate(run.trials):
        run.start(trial)
        run.result(trial, 1, loss=float(number))
        trial.set_status(Status.PAUSED)
    run.step(1)
    before = CountedTrial.reads
    run.step(1)

    assert CountedTrial.reads - before < 200
