"""Reads the files with the results of a trial: ``result.json`` and ``progress.csv``.

The experiment's database holds the authoritative record. The files serve people, other programs,
trials without an experiment, and results that a kill kept from the database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from localtune.error import StorageError
from localtune.result import (
    CHECKPOINT_DIR_NAME,
    EXPERIMENT_TAG,
    EXPR_PROGRESS_FILE,
    EXPR_RESULT_FILE,
    HOSTNAME,
    NODE_IP,
    TRAINING_ITERATION,
    TRIAL_ID,
)
from localtune.utils.dicts import unflatten_dict
from localtune.utils.files import no_link

# The csv module's own limit is 128 KiB. A result is smaller than this limit.
_MAX_FIELD_BYTES = 1 << 30
# Columns whose texts may look like numbers.
_TEXT_COLUMNS = frozenset(
    {TRIAL_ID, EXPERIMENT_TAG, HOSTNAME, NODE_IP, CHECKPOINT_DIR_NAME, "date"}
)


# -- reading --------------------------------------------------------------------------------------


def iter_results(trial_dir: str) -> Iterator[dict[str, Any]]:
    """Yields the results of a trial from ``result.json``, or else from ``progress.csv``.

    Args:
        trial_dir: Directory of the trial.

    Yields:
        Nested results, oldest first; none if both files are missing. An incomplete last line is
        ignored. ``progress.csv`` contains no config; values in it are numbers, booleans or text.

    Raises:
        StorageError: if a line before the last one cannot be parsed.
    """
    try:
        with open(os.path.join(trial_dir, EXPR_RESULT_FILE), "rb", opener=no_link) as file:
            yield from _iter_json(file)
    except FileNotFoundError:
        try:
            with open(os.path.join(trial_dir, EXPR_PROGRESS_FILE), "rb", opener=no_link) as file:
                yield from _iter_csv(file)
        except FileNotFoundError:
            return


def read_results(trial_dir: str) -> list[dict[str, Any]]:
    """Returns all results that :func:`iter_results` yields."""
    return list(iter_results(trial_dir))


def has_results_file(trial_dir: str) -> bool:
    """Tells whether a directory has one of the files that :func:`iter_results` reads."""
    return any(
        os.path.isfile(os.path.join(trial_dir, name))
        for name in (EXPR_RESULT_FILE, EXPR_PROGRESS_FILE)
    )


def _iter_json(file: BinaryIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        result = _parsed(line)
        if result is not None:
            yield result
        elif file.read(1):
            raise StorageError(
                f"Line {number} of {file.name} is no result: {line[:80]!r}. "
                "Remove that line, or restore the file."
            )


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        result = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def _iter_csv(file: BinaryIO) -> Iterator[dict[str, Any]]:
    columns: list[str] | None = None
    for row in _csv_rows(file):
        if columns is None:
            columns = row
        else:
            yield _nested(zip(columns, row, strict=True))


def _nested(cells: Iterator[tuple[str, str]]) -> dict[str, Any]:
    flat = {
        name: text if name in _TEXT_COLUMNS else _value(text) for name, text in cells if text != ""
    }
    try:
        return unflatten_dict(flat)
    except ValueError:
        # The name of one metric is also the first part of another one's.
        return flat


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    if "_" in text:  # int() and float() accept 1_000, but it was written as text.
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _csv_rows(file: BinaryIO) -> Iterator[list[str]]:
    """Yields the complete rows of a CSV file, the header first."""
    import csv

    csv.field_size_limit(_MAX_FIELD_BYTES)
    lines = _Lines(file)
    width = 0
    try:
        # strict=True: a file that ends inside quotes raises an error.
        for row in csv.reader(lines, strict=True):
            width = width or len(row)
            if not lines.is_whole or len(row) != width:
                return
            yield row
    except csv.Error:
        return  # The rest of the file cannot be parsed, as after an incomplete row.


# -- ownership ------------------------------------------------------------------------------------


def is_own_json(path: str, trial_id: str) -> bool:
    """Tells whether localtune may have written all of a ``result.json``.

    Args:
        path: The file.
        trial_id: Id of the trial.

    Returns:
        False if the file contains anything but results of the trial. An incomplete last line and
        blocks of zero bytes, which power failures leave, are accepted.
    """
    is_known = False
    with open(path, "rb", opener=no_link) as file:
        for line in file:
            result = _parsed(line)
            if result is not None:
                if result.get(TRIAL_ID) != trial_id or TRAINING_ITERATION not in result:
                    return False
                is_known = True
            elif not (b"\0" in line or (is_known and not line.endswith(b"\n"))):
                return False
    return True


def is_own_csv(path: str, trial_id: str) -> bool:
    """Tells the same as :func:`is_own_json` for a ``progress.csv``.

    Args:
        path: The file.
        trial_id: Id of the trial.
    """
    import csv

    with open(path, "rb", opener=no_link) as file:
        csv.field_size_limit(_MAX_FIELD_BYTES)
        lines = _Lines(file)
        rows = csv.reader(lines, strict=True)
        try:
            header = next(rows, None)
            if header is None or not {TRIAL_ID, TRAINING_ITERATION} <= {*header}:
                return lines.count == lines.damaged
            column = header.index(TRIAL_ID)
            for row in rows:
                is_result = len(row) == len(header) and row[column] == trial_id
                if not (is_result or lines.is_damaged or not lines.is_whole):
                    return False
        except csv.Error:
            return False
    return True


class _Lines:
    """Yields the lines of a CSV file as text, and describes the latest one.

    Attributes:
        is_whole: Whether the latest line ends with a line feed.
        is_damaged: Whether the latest line contains zero bytes.
        count: Number of lines so far.
        damaged: Number of lines with zero bytes so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_whole = self.is_damaged = False
        self.count = self.damaged = 0

    def __iter__(self) -> Iterator[str]:
        # Only a line feed ends a line: text in a field may hold other line separators.
        for line in self._file:
            self.is_whole = line.endswith(b"\n")
            self.is_damaged = b"\0" in line
            self.count += 1
            self.damaged += self.is_damaged
            # The csv module of Python 3.10 refuses NUL.
            yield line.decode("utf-8", "replace").replace("\0", "\ufffd")
