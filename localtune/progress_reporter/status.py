"""The state of a run in a line or two: the bar, the counts, the best trial."""

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
# Too few trials have ended to say when the others will.
_MIN_ENDED_FOR_ETA = 3


def counts_parts(counts: Counts, *, running: str = "running") -> list[Line]:
    """How many trials do what, one part each; what none does is left out.

    Args:
        counts: Numbers of trials.
        running: What is said of those whose status is RUNNING.
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
    """A bar of ``width`` columns: ended, running and paused trials as parts of the total."""
    line: Line = []
    used = filled = 0
    for word, style in _BAR_STYLES.items():
        filled += getattr(counts, word)
        # Rounding the running sum, not each part, keeps the bar's length exact.
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
    """Estimate of the seconds left, None if too little is known.

    Args:
        facts: About the run.
        counts: Trials by what they do.
        ended_now: Trials that ended in this session.
        elapsed_s: Seconds since the session's start.
        begun: How much of the running trials is done, in trials.
    """
    total = facts.total(counts.all)
    estimates = []
    if facts.time_budget_s:
        estimates.append(max(facts.time_budget_s - elapsed_s, 0.0))
    if total is not None and ended_now >= _MIN_ENDED_FOR_ETA:
        # With all slots busy, as much is in the making as has ended: leaving it out would tell
        # twice the time of a run whose trials all began together.
        left = max(total - counts.ended - begun, 0.0)
        estimates.append(left * elapsed_s / (ended_now + begun))
    return min(estimates, default=None)


def time_parts(elapsed_s: float, left_s: float | None) -> Line:
    """Elapsed time and what is left of it, in seconds; None and 0 are not told."""
    line: Line = [(format_clock(elapsed_s), "")]
    if left_s:
        seconds = max(round(left_s), 1)
        # An estimate has no tenths.
        left = f"{seconds}s" if seconds < 60 else format_duration(seconds)
        line.append((f", about {left} left", "dim"))
    return line


def best_part(trial: Trial, facts: RunFacts) -> Line:
    """The best trial and its metric."""
    metric = facts.metric or ""
    text = metric_text(metric, metric_of(trial, metric))
    return [("best ", ""), (text, "bold green"), (f" ({trial_label(trial)})", "")]


def status_text(facts: RunFacts, counts: Counts, best: Trial | None) -> str:
    """The whole state on one line: for logs."""
    progress: Line = [(facts.progress(counts.ended, counts.all) + " trials ended", "")]
    parts = [progress, *counts_parts(counts)]
    if best is not None:
        parts.append(best_part(best, facts))
    return plain(join(parts, SEPARATOR))
