"""The state of a run on one line: the bar, the counts, the time, the best trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import Line, join, plain
from localtune.progress_reporter.tracker import Counts
from localtune.progress_reporter.values import metric_of, metric_text, trial_label
from localtune.utils.text import format_clock, format_duration

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

SEPARATOR = " · "
_BAR_STYLES = {"finished": "green", "failed": "red", "running": "", "paused": "magenta"}
_BAR_CHAR, _EMPTY_CHAR = "━", "─"
# Least number of ended trials for an estimate of the remaining time.
_MIN_ENDED_FOR_ETA = 3


def counts_parts(counts: Counts, *, running: str = "running") -> list[Line]:
    """Returns the numbers of trials by status, one part per status with trials.

    Args:
        counts: Numbers of trials.
        running: Word for trials whose status is RUNNING.
    """
    named = [
        (counts.running, running, ""),
        (counts.pending, "pending", ""),
        (counts.paused, "paused", "magenta"),
        (counts.finished, "finished", "green"),
        (counts.failed, "failed", "red"),
    ]
    parts: list[Line] = [
        [(f"{number:,}", f"bold {style}".strip()), (f" {word}", "")]
        for number, word, style in named
        if number
    ]
    return parts or [[("no trials yet", "dim")]]


def bar(counts: Counts, total: int, width: int) -> Line:
    """Returns a bar that shows ended, running and paused trials as parts of the total.

    Args:
        counts: Numbers of trials.
        total: Total number of trials.
        width: Columns of the bar.
    """
    line: Line = []
    used = filled = 0
    for word, style in _BAR_STYLES.items():
        filled += getattr(counts, word)
        # Rounding the cumulative sum keeps the bar's length exact.
        end = min(round(filled * width / max(total, 1)), width)
        if end > used:
            line.append((_BAR_CHAR * (end - used), style))
            used = end
    if used < width:
        line.append((_EMPTY_CHAR * (width - used), "dim"))
    return line


def remaining_s(
    facts: RunFacts, counts: Counts, ended_now: int, elapsed_s: float, begun: float = 0.0
) -> float | None:
    """Returns an estimate of the remaining seconds; None if too little is known.

    Args:
        facts: Facts about the run.
        counts: Numbers of trials.
        ended_now: Number of trials that ended in this session.
        elapsed_s: Seconds since the session's start.
        begun: Sum of the shares of the running trials that are done.
    """
    total = facts.total(counts.all)
    estimates = []
    if facts.time_budget_s:
        estimates.append(max(facts.time_budget_s - elapsed_s, 0.0))
    if total is not None and ended_now >= _MIN_ENDED_FOR_ETA:
        # The done shares of running trials count as work. Without them, the estimate for trials
        # that all began together would be twice too long.
        left = max(total - counts.ended - begun, 0.0)
        estimates.append(left * elapsed_s / (ended_now + begun))
    return min(estimates, default=None)


def time_parts(elapsed_s: float, left_s: float | None) -> Line:
    """Returns the elapsed and the remaining time.

    Args:
        elapsed_s: Elapsed seconds.
        left_s: Remaining seconds; None and 0 are not shown.
    """
    line: Line = [(format_clock(elapsed_s), "")]
    if left_s:
        seconds = max(round(left_s), 1)
        # An estimate is shown without tenths of a second.
        left = f"{seconds}s" if seconds < 60 else format_duration(seconds)
        line.append((f", about {left} left", "dim"))
    return line


def best_part(trial: Trial, facts: RunFacts) -> Line:
    """Returns the best trial and its metric.

    Args:
        trial: The best trial.
        facts: Facts about the run.
    """
    metric = facts.metric or ""
    text = metric_text(metric, metric_of(trial, metric))
    return [("best ", ""), (text, "bold green"), (f" ({trial_label(trial)})", "")]


def status_text(facts: RunFacts, counts: Counts, best: Trial | None) -> str:
    """Returns the state of a run on one line, for logs.

    Args:
        facts: Facts about the run.
        counts: Numbers of trials.
        best: The best trial, or None.
    """
    progress: Line = [(facts.progress(counts.ended, counts.all) + " trials ended", "")]
    parts = [progress, *counts_parts(counts)]
    if best is not None:
        parts.append(best_part(best, facts))
    return plain(join(parts, SEPARATOR))
