"""create_output: chooses the output that shows a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

from localtune.clock import Clock
from localtune.progress_reporter.console import ConsoleOutput
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.output import Output
from localtune.progress_reporter.reporter import ProgressReporter
from localtune.progress_reporter.reporter_callback import ReporterCallback


def create_output(
    verbose: int,
    *,
    reporter: ProgressReporter | None = None,
    metric: str | None = None,
    mode: str | None = None,
    total_samples: int | None = None,
    experiment_path: str,
    resources: Mapping[str, float] | None = None,
    max_iterations: int | None = None,
    searcher_name: str = "",
    scheduler_name: str = "",
    live: bool = True,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Output:
    """Returns the user's reporter as an output, or the built-in output.

    With ``verbose=0`` the user's reporter is not used.

    Args:
        verbose: Amount of output, see :class:`ConsoleOutput`.
        reporter: The user's reporter; None takes the built-in output.
        metric: Metric of the run, or None.
        mode: ``"min"`` or ``"max"``, or None.
        total_samples: Total number of trials; None or -1 if it is unknown.
        experiment_path: Directory of the experiment.
        resources: {name: amount} that the trials share.
        max_iterations: Number of iterations after which the scheduler ends each trial, or None.
        searcher_name: Name of the searcher; may be empty.
        scheduler_name: Name of the scheduler; may be empty.
        live: Whether a terminal gets a frame that changes in place.
        stream: Stream to write to; None is the standard output.
        clock: Source of time.
        environ: Environment variables.

    Raises:
        ValueError: if the reporter refuses the run's settings.
    """
    facts = RunFacts(
        experiment_path,
        metric=metric,
        mode=mode,
        total_samples=total_samples,
        resources=resources or {},
        max_iterations=max_iterations,
        searcher_name=searcher_name,
        scheduler_name=scheduler_name,
    )
    if reporter is not None and verbose:
        return ReporterCallback(reporter, facts, stream=stream, clock=clock)
    return ConsoleOutput(verbose, facts, live=live, stream=stream, clock=clock, environ=environ)
