"""trial_table: the table of trials in the built-in output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localtune.progress_reporter.curve import Curve
from localtune.progress_reporter.line import Line, Span
from localtune.progress_reporter.table import Column, table_lines
from localtune.progress_reporter.values import (
    iterations_of,
    lookup,
    metric_of,
    own_metrics,
    parameters_of,
    trained_s_of,
    trial_label,
)
from localtune.trial.status import Status
from localtune.utils.text import format_duration, format_number, one_line

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

STATUS_WORDS: dict[Status, Span] = {
    Status.PENDING: ("pending", "dim"),
    Status.RUNNING: ("running", ""),
    Status.PAUSED: ("paused", "magenta"),
    Status.TERMINATED: ("finished", "green"),
    Status.ERROR: ("failed", "red"),
    Status.INTERRUPTED: ("interrupted", "magenta"),
}

# Number of reported metrics that are shown if the run has no metric.
_INFERRED_METRICS = 3
_CURVE_WIDTH = 8


def trial_table(
    trials: list[Trial],
    *,
    metric: str | None,
    mode: str | None,
    parameters: list[str],
    width: int,
    curves: Mapping[str, Curve] | None = None,
) -> list[Line]:
    """Returns the lines of a table with a row per trial.

    Args:
        trials: The trials, at least one, in the order of the rows.
        metric: Metric of the run; None shows a few metrics that the trials report.
        mode: ``"min"`` or ``"max"`` to mark the first trial as the best, or None.
        parameters: Flat names of the parameters to show.
        width: Columns of the terminal.
        curves: {trial id: curve of the metric so far}.
    """
    metrics = [metric] if metric is not None else _inferred(trials)
    columns = [
        Column("Trial", [(trial_label(trial), "") for trial in trials], keep="ends"),
        Column("State", [STATUS_WORDS[trial.status] for trial in trials], rank=3),
        *(_metric_column(name, mode, trials, rank) for rank, name in enumerate(metrics, 1)),
        *_curve_columns(trials, curves or {}),
        *(_parameter_column(name, trials, rank) for rank, name in enumerate(parameters)),
        Column(
            "Iter",
            [(str(iterations_of(trial) or 0), "") for trial in trials],
            rank=4,
            is_number=True,
        ),
        Column(
            "Time",
            [(format_duration(trained_s_of(trial)), "") for trial in trials],
            rank=5,
            is_number=True,
        ),
    ]
    return table_lines(columns, width=width)


def _metric_column(name: str, mode: str | None, trials: list[Trial], rank: int) -> Column:
    arrow = {"min": " ↓", "max": " ↑"}.get(mode or "", "")
    cells: list[Span] = []
    for position, trial in enumerate(trials):
        value = metric_of(trial, name)
        is_best = position == 0 and mode is not None and value is not None
        cells.append(
            ("-" if value is None else format_number(value), "bold green" if is_best else "")
        )
    title = one_line(name) + arrow
    return Column(title, cells, rank=min(rank, 2), is_number=True)


def _curve_columns(trials: list[Trial], curves: Mapping[str, Curve]) -> list[Column]:
    texts = [
        curves[trial.trial_id].text(_CURVE_WIDTH) if trial.trial_id in curves else ""
        for trial in trials
    ]
    return [Column("Curve", [(text, "") for text in texts], rank=1.5)] if any(texts) else []


def _parameter_column(name: str, trials: list[Trial], rank: int) -> Column:
    values = [_parameter(trial, name) for trial in trials]
    return Column(
        one_line(name),
        [("-" if value is None else one_line(value), "") for value in values],
        # The first parameters are kept longer than iterations and time, the others shorter.
        rank=(2 if rank < 3 else 6) + rank / 1000,
        is_number=all(value is None or isinstance(value, (int, float)) for value in values),
    )


def _parameter(trial: Trial, name: str) -> Any:
    value = lookup(trial.config, name)
    return parameters_of(trial).get(name) if value is None else value


def _inferred(trials: list[Trial]) -> list[str]:
    for trial in trials:
        names = list(own_metrics(trial.last_result))
        if names:
            return names[:_INFERRED_METRICS]
    return []
