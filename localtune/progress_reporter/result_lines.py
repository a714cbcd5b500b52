"""ResultLines: the lines that show single results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localtune.logger.pretty import pretty_print
from localtune.progress_reporter.events import result_line
from localtune.progress_reporter.line import Line
from localtune.progress_reporter.values import as_number, lookup, metric_text, own_metrics
from localtune.result import DONE, TIME_TOTAL_S, TRAINING_ITERATION
from localtune.utils.text import format_duration, printable

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

PERIOD_S = 5.0
_MAX_METRICS = 4


class ResultLines:
    """Makes lines for results: at most one result per trial every few seconds, and the last one.

    Args:
        metric: Metric of the run, which is shown first.
        in_full: Whether the whole result follows each line.
    """

    def __init__(self, metric: str | None, *, in_full: bool) -> None:
        self._metric = metric
        self._in_full = in_full
        self._next_s: dict[str, float] = {}

    def is_due(self, trial: Trial, result: Mapping[str, Any], now_s: float) -> bool:
        """Returns whether a result is shown; the trial's next ones are then not due for a while.

        Args:
            trial: The trial that reported the result.
            result: The nested result.
            now_s: Reading of a monotonic clock, in seconds.
        """
        if now_s < self._next_s.get(trial.trial_id, now_s) and not result.get(DONE):
            return False
        self._next_s[trial.trial_id] = now_s + PERIOD_S
        return True

    def lines(self, trial: Trial, result: Mapping[str, Any], at_s: float) -> list[Line]:
        """Returns the lines of one result.

        Args:
            trial: The trial that reported the result.
            result: The nested result.
            at_s: Seconds since the start of the run.
        """
        lines = [result_line(trial, at_s, self._shown(result))]
        if self._in_full:
            text = pretty_print(dict(result))
            lines += [[(f"    {printable(each)}", "")] for each in text.splitlines()]
        return lines

    def forget(self, trial: Trial) -> None:
        """Forgets a trial that has ended."""
        self._next_s.pop(trial.trial_id, None)

    def _shown(self, result: Mapping[str, Any]) -> list[str]:
        shown = [f"iteration {result.get(TRAINING_ITERATION, '?')}"]
        metrics = own_metrics(result)
        if self._metric is not None:
            value = as_number(lookup(result, self._metric))
            if value is not None:
                metrics = {self._metric: value, **metrics}
        shown += [metric_text(name, value) for name, value in list(metrics.items())[:_MAX_METRICS]]
        trained_s = as_number(result.get(TIME_TOTAL_S))
        return shown if trained_s is None else [*shown, f"after {format_duration(trained_s)}"]
