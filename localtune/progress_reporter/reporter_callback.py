"""ReporterCallback: shows a run by a user's reporter in place of the built-in output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from localtune.clock import Clock, SystemClock
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import plain
from localtune.progress_reporter.output import Output
from localtune.progress_reporter.reporter import ProgressReporter
from localtune.progress_reporter.summary import resume_line
from localtune.progress_reporter.terminal import SafeStream
from localtune.utils.temporary import is_temporary
from localtune.utils.text import printable, printable_lines

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class ReporterCallback(Output):
    """Calls a :class:`ProgressReporter` after each step, while the run is idle, and at the end.

    The constructor sets up the reporter, so that it can refuse the run before the run starts.

    Args:
        reporter: The user's reporter.
        facts: Facts about the run.
        stream: Stream for messages; None is the standard output.
        clock: Source of time.
    """

    # An error of the user's reporter ends the run.
    fails_only_its_trial = False

    def __init__(
        self,
        reporter: ProgressReporter,
        facts: RunFacts,
        *,
        stream: TextIO | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._reporter = reporter
        self._facts = facts
        self._stream = SafeStream(stream if stream is not None else sys.stdout)
        self._trials: list[Trial] = []
        reporter.setup(
            start_time=(clock or SystemClock()).time(),
            total_samples=facts.total_samples,
            metric=facts.metric,
            mode=facts.mode,
        )

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._trials = trials
        self._report(done=True)

    def tick(self, trials: list[Trial]) -> None:
        self._trials = trials
        self._report(done=False)

    def summary(self, trials: Sequence[Trial], *, interrupted: bool, elapsed_s: float) -> None:
        # The reporter's last report takes the place of a summary.
        if interrupted:
            path = self._facts.experiment_path
            how = "" if is_temporary(path) else f" {plain(resume_line(path))}"
            self._write(f"Interrupted.{how}")

    def worker_output(self, text: str, trial_id: str) -> None:
        self._stream.write(printable_lines(text.removesuffix("\n"), colors=True) + "\n")
        self._stream.flush()

    def log(self, message: str) -> None:
        self._write(message)

    def warn(self, message: str) -> None:
        self._write(f"Warning: {message}")

    def _report(self, *, done: bool) -> None:
        if self._reporter.should_report(self._trials, done=done):
            self._reporter.report(self._trials, done, *self._facts.lines)

    def _write(self, message: str) -> None:
        self._stream.write(printable(message) + "\n")
        self._stream.flush()
