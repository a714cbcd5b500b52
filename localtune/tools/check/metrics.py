"""Checks the metrics that a trainable reports."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localtune.tools.check.compare import metrics_of
from localtune.tools.check.report import Finding, failure, passed, warning
from localtune.trial.pickled_object import PickledObject
from localtune.utils.dicts import flatten_dict
from localtune.utils.text import did_you_mean, one_line


def check_metrics(results: Sequence[Mapping[str, Any]], metric: str | None) -> Iterator[Finding]:
    """Checks the metrics of some results.

    Args:
        results: Results of one trial, at least one.
        metric: Flat name of the metric that the sweep will optimise; None if there is none.
    """
    yield from _check_values(results, metric)
    if metric is not None:
        yield _check_searched(results, metric)


def _check_values(results: Sequence[Mapping[str, Any]], metric: str | None) -> Iterator[Finding]:
    seen: dict[str, list[Any]] = {}
    for result in results:
        for name, value in metrics_of(result).items():
            seen.setdefault(name, []).append(value)
    if not seen:
        yield warning(
            "metrics",
            "The results hold no metric.",
            "Report at least one number: tune.report({'loss': loss}), or return it from step().",
        )
        return
    found = [each for name, values in seen.items() if name != metric for each in _odd(name, values)]
    yield from found
    if not found:
        yield passed("metrics", f"Reports {', '.join(sorted(seen))}.")


def _odd(name: str, values: Sequence[Any]) -> Iterator[Finding]:
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            yield warning(
                "metrics",
                f"The metric {name!r} is {value}.",
                "A searcher or scheduler that looked at it would learn nothing. Look for a "
                "division by zero or for a learning rate that is too high.",
            )
            return
        if isinstance(value, (int, float, str)):
            continue
        if not _is_json(value):
            yield warning(
                "metrics",
                f"The metric {name!r} is a {_type_name(value)}, which JSON does not know: "
                "result files would hold its str().",
                "Report numbers, texts, lists and dicts; write objects to a checkpoint.",
            )
            return
        yield warning(
            "metrics",
            f"The metric {name!r} is no single number, but {one_line(value)}.",
            "Nothing can be optimised or compared by it. Report its mean, or its parts as metrics "
            "of their own.",
        )
        return


def _type_name(value: Any) -> str:
    return value.type_name if isinstance(value, PickledObject) else type(value).__name__


def _is_json(value: Any) -> bool:
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _check_searched(results: Sequence[Mapping[str, Any]], metric: str) -> Finding:
    for number, result in enumerate(results, 1):
        flat = {str(key): value for key, value in flatten_dict(dict(result)).items()}
        if metric not in flat:
            reported = sorted(metrics_of(result))
            hint = did_you_mean(metric, reported)
            names = ", ".join(map(repr, reported)) or "nothing"
            return failure(
                "metric",
                f"The searched metric {metric!r} is not in result {number}, which has {names}."
                f"{hint}",
                "Report it with every result, or search for another metric.",
            )
        value = flat[metric]
        if not isinstance(value, (int, float)):
            return failure(
                "metric",
                f"The searched metric {metric!r} is no number, but {one_line(value)} "
                f"({type(value).__name__}).",
                "Report it as one number, for example float(value) or value.mean().",
            )
        if not math.isfinite(value):
            return failure(
                "metric",
                f"The searched metric {metric!r} is {value} in result {number}.",
                "It counts as the worst possible value. Look for a division by zero or for a "
                "learning rate that is too high.",
            )
    return passed("metric", f"The searched metric {metric!r} is a number in each result.")
