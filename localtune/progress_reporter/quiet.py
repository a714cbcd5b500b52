"""QuietOutput: the output of a run with ``verbose=0``, which shows only failures, at the end.

It loads what writes a summary only if a trial has failed: many runs with ``verbose=0`` are short.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from localtune.progress_reporter.output import Output
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class QuietOutput(Output):
    """Shows the failures of a run when it has ended.

    Args:
        stream: Stream to write to; None is the standard output of now.
        environ: Environment variables: ``NO_COLOR``, ``TERM``, ``COLUMNS``.
    """

    def __init__(
        self, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._environ = environ

    def tick(self, trials: list[Trial]) -> None:
        return

    def worker_output(self, text: str, trial_id: str) -> None:
        return

    def summary(self, trials: Sequence[Trial], *, interrupted: bool, elapsed_s: float) -> None:
        if not any(trial.status is Status.ERROR for trial in trials):
            return
        from localtune.progress_reporter.choose_display import choose_display
        from localtune.progress_reporter.summary import failure_lines

        display = choose_display(self._stream, self._environ, live=False)
        for line in failure_lines(trials):
            display.print(line)

    def log(self, message: str) -> None:
        return

    def warn(self, message: str) -> None:
        return
