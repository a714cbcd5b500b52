"""What counts as a result: an object of JSON, or what a regular expression finds in a line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from localtune.trainable.command.values import number_of
from localtune.utils.dicts import flatten_dict
from localtune.utils.text import printable, shorten

# A true value under this key of a result says that the state in the checkpoint directory counts.
CHECKPOINT_KEY = "checkpoint"
# Of names that an error lists.
_MOST_NAMES = 20
_NAME_WIDTH = 60

Parser: TypeAlias = Callable[[bytes], "dict[str, Any] | None"]


def json_parser(metric: str | None, others: dict[str, None] | None = None) -> Parser:
    """Returns a function that reads a line as a JSON object with the metric in it.

    Args:
        metric: Flat name of the metric; None accepts every object that is not empty.
        others: Gets the names in objects without the metric, as its keys.
    """

    def parse(line: bytes) -> dict[str, Any] | None:
        line = line.strip()
        if not (line.startswith(b"{") and line.endswith(b"}")):
            return None
        found = json_object(line)
        if not found:
            return None
        if has_metric(found, metric):
            return found
        if others is not None:
            note_names(others, found)
        return None

    return parse


def note_names(names: dict[str, None], found: dict[str, Any]) -> None:
    """Adds the names in an object, for an error that lists some.

    Args:
        names: Gets them as its keys, up to a limit.
        found: The object.
    """
    for each in list(found)[:_MOST_NAMES]:
        if len(names) < _MOST_NAMES:
            names[shorten(printable(each), _NAME_WIDTH)] = None


def json_object(text: bytes) -> dict[str, Any] | None:
    """Returns the object that a JSON text holds; None if it holds something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def has_metric(result: dict[str, Any], metric: str | None) -> bool:
    """Tells whether a result has a metric.

    Args:
        result: The result, nested.
        metric: Flat name of the metric; None is in every result.
    """
    if metric is None or metric in result:
        return True
    try:
        return "/" in metric and metric in flatten_dict(result)
    except RecursionError:
        return False


class PatternParser:
    """Finds the values of a result in lines of text.

    Values of lines without the metric are kept for the result that follows.

    Args:
        pattern: Expression with named groups.
        metric: Name of the group that completes a result; None lets every match be a result.
    """

    def __init__(self, pattern: re.Pattern[str], metric: str | None) -> None:
        self._pattern = pattern
        self._metric = metric
        self._kept: dict[str, Any] = {}

    def __call__(self, line: bytes) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for match in self._pattern.finditer(line.decode("utf-8", "replace")):
            groups = match.groupdict().items()
            found.update({name: number_of(text) for name, text in groups if text is not None})
        if not found:
            return None
        self._kept.update(found)
        if self._metric is not None and self._metric not in found:
            return None
        result, self._kept = self._kept, {}
        return result


def compiled(pattern: str, metric: str | None) -> re.Pattern[str]:
    """Compiles a regular expression for :class:`PatternParser`.

    Args:
        pattern: The expression.
        metric: Name of the run's metric, if it is known.

    Raises:
        ValueError: if it cannot be compiled, or has no group for the metric.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"pattern must be a regular expression, but {pattern!r} cannot be compiled: {error}."
        ) from None
    check_groups(expression, metric)
    return expression


def check_groups(pattern: re.Pattern[str], metric: str | None) -> None:
    """Checks that an expression has named groups, and one for the metric.

    Args:
        pattern: The expression.
        metric: Name of the metric; None if it is not known.

    Raises:
        ValueError: if it does not.
    """
    example = metric if metric is not None and metric.isidentifier() else "loss"
    if not pattern.groupindex:
        raise ValueError(
            f"pattern must have named groups, one for each metric, but {pattern.pattern!r} has "
            f"none. Write for example '{example}=(?P<{example}>[-+.eE0-9]+)'."
        )
    if metric is not None and metric not in pattern.groupindex:
        raise ValueError(
            f"pattern must have a group for the metric {metric!r}, but {pattern.pattern!r} has "
            f"{', '.join(map(repr, pattern.groupindex))}. Write (?P<{example}>...)."
        )


def takes_checkpoint(result: dict[str, Any]) -> bool:
    """Removes the order to take a checkpoint from a result; returns whether there was one."""
    if result.get(CHECKPOINT_KEY) in (True, False) and isinstance(result[CHECKPOINT_KEY], bool):
        return bool(result.pop(CHECKPOINT_KEY))
    return False
