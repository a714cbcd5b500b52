from __future__ import annotations

import io
from typing import Any

import pytest

from localtune.callback import CallbackList
from localtune.progress_reporter import CLIReporter, ProgressReporter
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.reporter_callback import ReporterCallback
from localtune.testing import ManualClock
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import make_trial


class Recorder(ProgressReporter):
    """Records its calls; reports when ``due``."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.due = True

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"metric": metric, "mode": mode, **kwargs}
        self.calls.append(("setup", start_time, total_samples, given))

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        self.calls.append(("should_report", list(trials), done))
        return self.due

    def report(self, trials: list[Trial], done: bool, *sys_info: str) -> None:
        self.calls.append(("report", list(trials), done, *sys_info))


def adapter(reporter: ProgressReporter, **options: Any) -> ReporterCallback:
    facts = RunFacts(
        "/results/sweep",
        metric="loss",
        mode="min",
        total_samples=options.pop("total_samples", 7),
        resources={"CPU": 4},
        scheduler_name="FIFO",
    )
    return ReporterCallback(reporter, facts, clock=ManualClock(1_000.0), **options)


@pytest.mark.parametrize(("total", "told"), [(7, 7), (None, None), (-1, None)])
def test_the_reporter_is_set_up_at_once(total: int | None, told: int | None) -> None:
    reporter = Recorder()
    adapter(reporter, total_samples=total)

    assert reporter.calls == [("setup", 1_000.0, told, {"metric": "loss", "mode": "min"})]


def test_a_reporter_can_refuse_a_run_before_it_starts() -> None:
    with pytest.raises(
        ValueError, match="metric must be set only in the run or only in its reporter"
    ):
        adapter(CLIReporter(metric="loss"))


def test_it_is_asked_at_each_tick_and_reports_if_it_wants() -> None:
    reporter = Recorder()
    output = adapter(reporter)
    trials = [make_trial()]
    reporter.calls.clear()

    output.tick(trials)
    reporter.due = False
    output.tick(trials)

    assert reporter.calls == [
        ("should_report", trials, False),
        ("report", trials, False, "Scheduler: FIFO", "4 CPU"),
        ("should_report", trials, False),
    ]


def test_the_last_report_is_made_when_all_workers_have_ended() -> None:
    reporter = Recorder()
    output = adapter(reporter)
    trials = [make_trial()]
    reporter.calls.clear()

    CallbackList([output]).call("on_experiment_end", trials=trials)
    output.summary(trials, interrupted=False, elapsed_s=1)

    assert reporter.calls == [
        ("should_report", trials, True),
        ("report", trials, True, "Scheduler: FIFO", "4 CPU"),
    ]


def test_an_interrupted_run_shows_how_to_resume() -> None:
    stream = io.StringIO()
    adapter(Recorder(), stream=stream).summary([], interrupted=True, elapsed_s=1)

    assert stream.getvalue() == (
        'Interrupted. To go on with this run: Tuner.restore("/results/sweep", trainable=...)\n'
    )


def test_messages_and_prints_of_workers_are_written() -> None:
    stream = io.StringIO()
    output = adapter(Recorder(), stream=stream)
    output.log("saved\nall")
    output.warn("low memory")
    output.worker_output("epoch 1\nepoch 2\n", "t1")
    output.worker_output("epoch 3", "")

    assert not output.wants_worker_output
    assert stream.getvalue().splitlines() == [
        r"saved\nall",
        "Warning: low memory",
        "epoch 1",
        "epoch 2",
        "epoch 3",
    ]
