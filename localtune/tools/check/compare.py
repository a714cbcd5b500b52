"""Compares the results of two trials, without times and without what tells the processes apart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from localtune.result import NOT_METRICS, RESULT_DUPLICATE
from localtune.utils.dicts import flatten_dict
from localtune.utils.text import one_line

_NOT_COMPARED = NOT_METRICS | {RESULT_DUPLICATE, "perf"}
# Two runs of one program differ in these, in all names that people give them.
_MEASURED = re.compile(
    r"(^|_)(times?|duration|elapsed|seconds|secs?|s|ms|timestamp|date|fps|speed|throughput"
    r"|memory|mem|rss|pid)(_|$)",
    re.IGNORECASE,
)
# Threads add up numbers in another order each time.
_TOLERANCE = 1e-5
_SHOWN = 3


def metrics_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metrics that user code reported, flat: ``{"nested/key": value}``."""
    reported = {key: value for key, value in result.items() if key not in _NOT_COMPARED}
    return {str(key): value for key, value in flatten_dict(reported).items()}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Returns the names of the metrics that differ between two results; times do not count.

    Args:
        one: A result.
        other: Another one.
    """
    first, second = _comparable(one), _comparable(other)
    missing = object()
    return [
        name
        for name in sorted({*first, *second})
        if not _same(first.get(name, missing), second.get(name, missing))
    ]


def has_comparable(result: Mapping[str, Any]) -> bool:
    """Tells whether a result has metrics other than times."""
    return bool(_comparable(result))


def difference_text(
    names: list[str], one: Mapping[str, Any], other: Mapping[str, Any], label: str, other_label: str
) -> str:
    """Describes the metrics that differ between two results.

    Args:
        names: Names of these metrics.
        one: A result.
        other: Another one.
        label: Words that say where the first result comes from, such as "in one".
        other_label: Likewise for the other one.
    """
    first, second = metrics_of(one), metrics_of(other)
    parts = [
        f"{name} is {_shown(first, name)} {label} and {_shown(second, name)} {other_label}"
        for name in names[:_SHOWN]
    ]
    more = len(names) - _SHOWN
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _comparable(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in metrics_of(result).items()
        if not _MEASURED.search(name.rpartition("/")[2])
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        both_nan = one != one and other != other
        return both_nan or math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=1e-12)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "tolist") and hasattr(other, "tolist"):
        return _same(one.tolist(), other.tolist())
    try:
        return bool(one == other)
    except Exception:  # A comparison of user code.
        return False


def _shown(metrics: Mapping[str, Any], name: str) -> str:
    return one_line(metrics[name], 6) if name in metrics else "missing"
