"""Makes the rows of ``progress.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.result import CONFIG_PREFIX
from localtune.utils.dicts import flatten_dict

if TYPE_CHECKING:
    import csv
    from typing import TextIO


def csv_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a result as a flat row.

    Args:
        result: Result of one iteration; not changed.

    Returns:
        The result without its config; nested keys are joined by ``/``.

    Example:
        >>> csv_row({"loss": 1, "eval": {"acc": 0.5}, "config": {"lr": 1}})
        {'loss': 1, 'eval/acc': 0.5}
    """
    row = dict(result)
    row.pop(CONFIG_PREFIX, None)
    return flatten_dict(row)


def row_writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    """Returns a writer of rows with fixed columns.

    Args:
        file: Text file, opened with ``newline=""``.
        columns: Column names in the order of the file.

    Returns:
        A writer that leaves the cell of a missing key empty and ignores keys without a column.
    """
    import csv

    return csv.DictWriter(file, columns, restval="", extrasaction="ignore")
