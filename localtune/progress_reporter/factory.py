"""create_output: chooses the output that shows a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from localtune.clock import Clock
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.output import Output
from localtune.progress_reporter.quiet import QuietOutput

if TYPE_CHECKING:
    from localtune.progress_reporter.reporter import ProgressReporter


def create_output(
    verbose: int,
    facts: RunFacts,
    *,
    reporter: ProgressReporter | None = None,
    live: bool = True,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Output:
    """Returns the user's reporter as an output, or the built-in output.

    With ``verbose=0`` the user's reporter is not used.

    Args:
        verbose: Amount of output, see :class:`ConsoleOutput`.
        facts: Facts about the run.
        reporter: The user's reporter; None takes the built-in output.
        live: Whether a terminal gets a frame that changes in place.
        stream: Stream to write to; None is the standard output.
        clock: Source of time.
        environ: Environment variables.

    Raises:
        ValueError: if the reporter refuses the run's settings.
    """
    if not verbose:
        return QuietOutput(stream, environ)
    if reporter is not None:
        from localtune.progress_reporter.reporter_callback import ReporterCallback

        return ReporterCallback(reporter, facts, stream=stream, clock=clock)
    from localtune.progress_reporter.console import ConsoleOutput

    return ConsoleOutput(verbose, facts, live=live, stream=stream, clock=clock, environ=environ)
