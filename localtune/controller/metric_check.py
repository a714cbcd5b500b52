"""MetricCheck: whether a result has the metric of the run, and numbers where they are compared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from localtune.error import MissingMetricError, TrialError
from localtune.result import DEFAULT_METRIC, NOT_METRICS
from localtune.trial.trial import Trial
from localtune.utils.temporary import files_text
from localtune.utils.text import did_you_mean, one_line, shorten

_NOTHING: Mapping[str, Any] = {}


class MetricCheck:
    """Checks each result for the metrics that the run compares.

    Args:
        *metrics: Flat names of the metrics that each result must have. None, and the default name
            of bare numbers, are not checked.
        numbers: Flat names of further values that must be numbers where a result has them.
    """

    def __init__(self, *metrics: str | None, numbers: Iterable[str] = ()) -> None:
        is_strict = os.environ.get("TUNE_DISABLE_STRICT_METRIC_CHECKING") != "1"
        wanted = {each for each in metrics if each is not None and each != DEFAULT_METRIC}
        self._metrics = sorted(wanted) if is_strict else []
        self._numbers = sorted({*filter(None, metrics), *numbers})

    def error_of(self, trial: Trial, flat_result: Mapping[str, Any]) -> MissingMetricError | None:
        """Returns the error for a result without the run's metric; None if it has all metrics.

        Args:
            trial: The trial that has reported the result.
            flat_result: The result, flat.
        """
        for metric in self._metrics:
            if metric not in flat_result:
                return _error_of(metric, trial, flat_result)
        return None

    def odd_value_of(
        self, trial: Trial, flat_result: Mapping[str, Any], result: Mapping[str, Any] = _NOTHING
    ) -> TrialError | None:
        """Returns the error of a trial whose result cannot be compared; None if it can.

        Otherwise the scheduler, the searcher or a stop condition would raise and end the run.

        Args:
            trial: Has reported the result.
            flat_result: The result, flat.
            result: The result, nested: a metric may be missing from the flat one because it is a
                dict.
        """
        for key in self._numbers:
            value = flat_result.get(key)
            if key in self._metrics and key not in flat_result:
                value = result.get(key)  # a dict, perhaps an empty one
            if value is not None and not isinstance(value, (int, float)):
                is_text = isinstance(value, str)
                text = repr(value) if is_text else one_line(value)
                shown = shorten(text, _SHOWN_CHARACTERS)
                example = "float(value)" if is_text else "value.mean()"
                return TrialError(
                    f"The metric {key!r}, by which the run compares trials or stops them, must be "
                    f"a number, but the trial {trial} reported {shown} of type "
                    f"{type(value).__name__}. Report it as one number, for example {example}, "
                    f"or under another name.{files_text(trial.path)}",
                    trial_id=trial.trial_id,
                    trial_dir=trial.path,
                )
        return None


_SHOWN_CHARACTERS = 80


def _error_of(
    metric: str, trial: Trial, flat_result: Mapping[str, Any]
) -> MissingMetricError | None:
    reported = [
        key for key in flat_result if key not in NOT_METRICS and not key.startswith("config/")
    ]
    if not reported:
        return None
    hint = did_you_mean(metric, reported)
    return MissingMetricError(
        f"The run optimises the metric {metric!r}, but trial {trial} reported "
        f"{', '.join(map(repr, sorted(reported)))}.{hint} Report it with every result, name "
        "another metric in TuneConfig, or set the environment variable "
        "TUNE_DISABLE_STRICT_METRIC_CHECKING=1."
    )
