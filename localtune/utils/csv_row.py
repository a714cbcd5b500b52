"""Rows of ``progress.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.result import CONFIG_PREFIX
from localtune.utils.dicts import flatten_dict

if TYPE_CHECKING:
    import csv
    from typing import TextIO


def csv_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a result into a flat row.

    Args:
        result: Result of one iteration; left as it is.

    Returns:
        The result without its config; nested keys are joined with ``/``.

    Example:
        >>> csv_row({"loss": 1, "eval": {"acc": 0.5}, "config": {"lr": 1}})
        {'loss': 1, 'eval/acc': 0.5}
    """
    return flatten_dict({key: value for key, value in result.items() if key != CONFIG_PREFIX})


def row_writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    """Make a writer of rows with fixed columns.

    Args:
        file: Text file, opened with ``newline=""``.
        columns: Names in the order of the file.

    Returns:
        Writer that leaves a missing column empty and drops what has no column.
    """
    import csv

    return csv.DictWriter(file, columns, restval="", extrasaction="ignore")
