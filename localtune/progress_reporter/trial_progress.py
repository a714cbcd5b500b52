"""TrialProgressCallback: prints a line for each result, beside the output of the run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.callback import Callback
from localtune.progress_reporter.terminal import SafeStream
from localtune.progress_reporter.values import as_number, lookup, metric_text, own_metrics
from localtune.result import TRAINING_ITERATION
from localtune.utils.text import one_line

if TYPE_CHECKING:
    from localtune.trial.trial import Trial


class TrialProgressCallback(Callback):
    """Prints each result of each trial as one line, and how each trial ended.

    ``RunConfig(verbose=2)`` prints results, too, but not each one if they come fast.

    Args:
        metric: Metric that comes first in the lines.
        progress_metrics: Flat names of the other metrics to show, or {flat name: title}; None
            shows all numbers that trials report.

    Example:
        >>> import localtune as tune
        >>> run_config = tune.RunConfig(callbacks=[TrialProgressCallback(metric="loss")])
    """

    def __init__(
        self,
        metric: str | None = None,
        progress_metrics: Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        self._metric = metric
        self._titles: dict[str, str] | None = None
        if isinstance(progress_metrics, Mapping):
            self._titles = dict(progress_metrics)
        elif progress_metrics is not None:
            self._titles = {name: name for name in progress_metrics}

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        shown = [f"iteration {result.get(TRAINING_ITERATION, '?')}", *self._metrics(result)]
        self._print(trial, ", ".join(shown))

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._print(trial, "finished")

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._print(trial, "failed")

    def _metrics(self, result: Mapping[str, Any]) -> list[str]:
        titles = self._titles
        if titles is None:
            titles = {name: name for name in own_metrics(result)}
        if self._metric is not None:
            titles = {self._metric: titles.get(self._metric, self._metric), **titles}
        values = {title: as_number(lookup(result, name)) for name, title in titles.items()}
        return [metric_text(title, value) for title, value in values.items() if value is not None]

    def _print(self, trial: Trial, text: str) -> None:
        stream = SafeStream(sys.stdout)
        stream.write(one_line(f"{trial}: {text}") + "\n")
        stream.flush()
