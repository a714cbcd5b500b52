"""Share of one core that the live view takes at four refreshes a second, among 10,000 trials."""

from __future__ import annotations

import io
import statistics
import time

from _common import options, verdict

from localtune.progress_reporter.console import REFRESH_S, ConsoleOutput
from localtune.progress_reporter.facts import RunFacts
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial

TARGET = 2.0  # percent
RUNNING = 8


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def make_trial(number: int) -> Trial:
    params = {"lr": 0.1 * (number + 1), "batch": 2 ** (number % 5), "width": number % 97}
    trial = Trial(
        "train",
        trial_id=f"t{number:05d}",
        config=dict(params),
        evaluated_params=params,
        stopping_criterion={"training_iteration": 20},
    )
    trial.dirname = trial.trial_id
    return trial


def report(output: ConsoleOutput, trials: list[Trial], trial: Trial, iteration: int) -> None:
    loss = 1 / iteration + int(trial.trial_id[1:]) * 7919 % len(trials)
    result = {"loss": loss, "training_iteration": iteration, "time_total_s": iteration * 1.5}
    output.on_trial_result(0, trials, trial, result)
    trial.last_result = result


def refresh_s(count: int, refreshes: int) -> float:
    """CPU seconds of one refresh, late in a run of so many trials."""
    clock = ManualClock()
    output = ConsoleOutput(
        1,
        RunFacts(
            "/results/sweep",
            metric="loss",
            mode="min",
            total_samples=count,
            resources={"CPU": RUNNING},
        ),
        stream=Terminal(),
        clock=clock,
        environ={"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    )
    output.setup()
    trials = [make_trial(number) for number in range(count)]
    for number, trial in enumerate(trials):
        trial.set_status(Status.RUNNING)
        output.on_trial_start(0, trials, trial)
        for iteration in range(1, 11):
            report(output, trials, trial, iteration)
        if number < count - RUNNING:
            trial.set_status(Status.TERMINATED)
            output.on_trial_complete(0, trials, trial)
    times = []
    for _ in range(refreshes):
        clock.advance(REFRESH_S)
        before = time.process_time()
        output.tick(trials)
        times.append(time.process_time() - before)
    return statistics.mean(times)


def main() -> None:
    given = options(__doc__, refreshes=400)
    few, many = (refresh_s(count, given.refreshes) for count in (10, 10_000))
    verdict(
        "one core for the live view, 10,000 trials",
        100 * many / REFRESH_S,
        at_most=TARGET,
        detail=f"a refresh {many * 1e3:.2f} ms, among 10 trials {few * 1e3:.2f} ms",
        unit=" %",
    )


if __name__ == "__main__":
    main()
