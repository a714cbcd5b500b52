"""TrialEvent: an event of a trial, and the line that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from localtune.progress_reporter.failure_text import failure_text
from localtune.progress_reporter.line import Line
from localtune.progress_reporter.values import (
    iterations_of,
    metric_of,
    metric_text,
    parameters_text,
    start_iterations_of,
    trained_s_of,
    trial_label,
)
from localtune.utils.text import count, format_clock, format_duration

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class EventKind(Enum):
    """Kinds of events; the value is the word in the output."""

    STARTED = "started"
    RESUMED = "resumed"
    PAUSED = "paused"
    FINISHED = "finished"
    RETRIED = "retried"
    FAILED = "failed"


STYLES = {
    EventKind.STARTED: "",
    EventKind.RESUMED: "",
    EventKind.PAUSED: "magenta",
    EventKind.FINISHED: "green",
    EventKind.RETRIED: "magenta",
    EventKind.FAILED: "red",
}


@dataclass(slots=True, eq=False)
class TrialEvent:
    """One event of one trial.

    Attributes:
        kind: Kind of the event.
        trial: The trial, whose record may have changed since the event.
        at_s: Seconds from the start of the run to the event.
        progress: Number of ended trials at that time, as ``12/100``; may be empty.
        failure: Text of the failure; "" for other events.
    """

    kind: EventKind
    trial: Trial
    at_s: float
    progress: str = ""
    failure: str = ""


def failure_of(kind: EventKind, trial: Trial) -> str:
    """Returns the text of the failure behind an event; "" for other events.

    Args:
        kind: Kind of the event.
        trial: The trial.
    """
    has_failed = kind in (EventKind.RETRIED, EventKind.FAILED) and trial.error is not None
    return failure_text(trial) if has_failed else ""


def stamp(at_s: float) -> Line:
    """Returns the time at the start of a line, from seconds since the start of the run."""
    return [(f"{format_clock(at_s)} ", "dim")]


def event_line(event: TrialEvent, metric: str | None, *, with_file: bool = True) -> Line:
    """Returns the line that shows an event.

    It looks like ``00:01:23 1a2b_00007 finished 12/100  20 iterations  loss=0.03  in 3.2s``.

    Args:
        event: The event.
        metric: Metric to show, if the trial has it.
        with_file: Whether to show the path of the file with a failure's traceback.
    """
    line = stamp(event.at_s)
    line += [(trial_label(event.trial), "bold"), (" ", ""), _verb(event)]
    if event.progress:
        line.append((f" {event.progress}", "dim"))
    details = [part for part in _details(event, metric, with_file) if part]
    if details:
        line.append(("  " + "  ".join(details), ""))
    return line


def result_line(trial: Trial, at_s: float, shown: list[str]) -> Line:
    """Returns the line that shows a result: ``00:01:23 1a2b_00007 iteration 12  loss=0.03``.

    Args:
        trial: The trial that reported the result.
        at_s: Seconds since the start of the run.
        shown: Iteration and metrics as texts.
    """
    return [*stamp(at_s), (trial_label(trial), "bold"), (" " + "  ".join(shown), "")]


def _verb(event: TrialEvent) -> tuple[str, str]:
    return (event.kind.value, STYLES[event.kind])


def _details(event: TrialEvent, metric: str | None, with_file: bool) -> list[str]:
    trial, kind = event.trial, event.kind
    if kind is EventKind.STARTED:
        return [parameters_text(trial)]
    if kind is EventKind.RESUMED:
        done = start_iterations_of(trial)
        return [f"after {count(done, 'iteration')}" if done else "from the start"]
    iterations = iterations_of(trial)
    progress = [
        count(iterations, "iteration") if iterations is not None else "no results",
        metric_text(metric, metric_of(trial, metric)) if metric is not None else "",
    ]
    if kind is EventKind.RETRIED and trial.error is None:
        return ["its node was lost", *(progress if iterations else [])]
    if kind is EventKind.RETRIED:
        return [_tries(trial), event.failure, *(progress if iterations else [])]
    if kind is EventKind.FAILED:
        error_file = (trial.error_file or "") if with_file else ""
        return [event.failure, *(progress if iterations else []), error_file]
    return [*progress, f"in {format_duration(trained_s_of(trial))}"]


def _tries(trial: Trial) -> str:
    if trial.max_failures < 0:
        return f"failure {trial.num_failures}"
    return f"failure {trial.num_failures} of {trial.max_failures} allowed"
