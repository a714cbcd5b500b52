"""running_lines: one line per running trial, with its progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import Line
from localtune.progress_reporter.values import (
    iterations_of,
    metric_of,
    metric_text,
    trained_s_of,
    trial_label,
)
from localtune.result import TRAINING_ITERATION
from localtune.utils.text import count, format_duration, shorten, text_width

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_MAX_LABEL, _MAX_BAR, _MIN_BAR = 20, 30, 4
# Narrower terminals show only the bar and the number of iterations.
_MIN_WIDTH_FOR_DETAILS = 60


def max_iterations_of(trial: Trial, facts: RunFacts) -> int | None:
    """Returns the largest number of iterations of a trial; None if it is unknown.

    Args:
        trial: The trial.
        facts: Facts about the run.
    """
    bounds = [trial.stopping_criterion.get(TRAINING_ITERATION), facts.max_iterations]
    return min((int(bound) for bound in bounds if bound and bound >= 1), default=None)


def fraction_of(trial: Trial, facts: RunFacts) -> float:
    """Returns the share of a trial that is done, from 0 to 1; 0 if it is unknown.

    Args:
        trial: The trial.
        facts: Facts about the run.
    """
    most = max_iterations_of(trial, facts)
    return min((iterations_of(trial) or 0) / most, 1.0) if most else 0.0


def running_lines(trials: Sequence[Trial], facts: RunFacts, width: int, rows: int) -> list[Line]:
    """Returns at most ``rows`` lines; the last one may give the number of further trials.

    Args:
        trials: The running trials, in the order of their start.
        facts: Facts about the run.
        width: Columns of the terminal.
        rows: Largest number of lines, at least 1.
    """
    shown = trials if len(trials) <= rows else trials[: rows - 1]
    labels = [shorten(trial_label(trial), min(_MAX_LABEL, width), keep="ends") for trial in shown]
    numbers = [_iterations(trial, facts) for trial in shown]
    label_width = max(map(text_width, labels), default=0)
    number_width = max(map(text_width, numbers), default=0)
    details = [_details(trial, facts) if width >= _MIN_WIDTH_FOR_DETAILS else "" for trial in shown]
    detail_width = max(map(text_width, details), default=0)
    has_bars = any(max_iterations_of(trial, facts) for trial in shown)
    taken = label_width + number_width + 4 + (detail_width + 2 if detail_width else 0)
    bar_width = min(width - taken, _MAX_BAR) if has_bars else 0
    lines: list[Line] = []
    for trial, label, number, detail in zip(shown, labels, numbers, details, strict=True):
        line: Line = [(label, "bold"), (" " * (label_width - text_width(label) + 2), "")]
        if bar_width >= _MIN_BAR:
            line += [*_bar(trial, facts, bar_width), ("  ", "")]
        line.append((" " * (number_width - text_width(number)) + number, ""))
        if detail:
            line.append((f"  {detail}", ""))
        lines.append(line)
    if len(shown) < len(trials):
        more = len(trials) - len(shown)
        lines.append([(f"… {more:,} {'more ' if shown else ''}running", "dim")])
    return lines


def _iterations(trial: Trial, facts: RunFacts) -> str:
    done, most = iterations_of(trial) or 0, max_iterations_of(trial, facts)
    return f"{done:,}/{most:,}" if most else count(done, "iteration")


def _details(trial: Trial, facts: RunFacts) -> str:
    value = metric_of(trial, facts.metric) if facts.metric is not None else None
    trained_s = trained_s_of(trial)
    parts = [
        metric_text(shorten(facts.metric or "", 20, keep="end"), value),
        format_duration(trained_s) if trained_s else "",
    ]
    return "  ".join(part for part in parts if part)


def _bar(trial: Trial, facts: RunFacts, width: int) -> Line:
    filled = int(fraction_of(trial, facts) * width)
    parts = [("━" * filled, ""), ("─" * (width - filled), "dim")]
    return [part for part in parts if part[0]]
