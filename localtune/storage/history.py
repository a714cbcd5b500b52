"""The results of a trial as its files hold them: ``result.json`` and ``progress.csv``.

Each iteration stands once. When a trial goes back to an earlier iteration (a retry, a resumed
run), :func:`rewind` cuts off what will be done again, before the loggers append to the files:

    1 2 3 [checkpoint] 4 5 6 [failure]      rewind to 3      1 2 3      4 5 6 7 8 ...

The files are cut in place: a reader sees the longer one or the shorter one. What is kept is said
as a number of results, not as an iteration: a trial that goes on from another one's checkpoint
keeps its own results, and its iterations go on from the other's.
"""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from localtune.error import StorageError
from localtune.result import (
    CHECKPOINT_DIR_NAME,
    EXPERIMENT_TAG,
    EXPR_PROGRESS_FILE,
    EXPR_RESULT_FILE,
    HOSTNAME,
    NODE_IP,
    TRIAL_ID,
)
from localtune.utils.csv_row import csv_row, row_writer
from localtune.utils.dicts import unflatten_dict
from localtune.utils.files import no_link, write_file
from localtune.utils.json_encode import dumps

# The csv module gives up at 128 KiB unless it is told more; a result is smaller than this.
_MAX_FIELD_BYTES = 1 << 30
# They may look like numbers, and are none.
_TEXT_COLUMNS = frozenset(
    {TRIAL_ID, EXPERIMENT_TAG, HOSTNAME, NODE_IP, CHECKPOINT_DIR_NAME, "date"}
)


# -- reading --------------------------------------------------------------------------------------


def iter_results(trial_dir: str) -> Iterator[dict[str, Any]]:
    """The results of a trial, read one by one: from ``result.json``, else from ``progress.csv``.

    Args:
        trial_dir: Directory of the trial.

    Yields:
        Results, nested, oldest first; nothing if there is neither file. A torn last line is left
        out. ``progress.csv`` holds no config, and what is not a number or a bool is text.

    Raises:
        StorageError: A line before the last one cannot be read.
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
    """All that :func:`iter_results` yields."""
    return list(iter_results(trial_dir))


def has_results_file(trial_dir: str) -> bool:
    """Whether a directory has one of the files that results are read from."""
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
    for row, _ in _csv_rows(file):
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
        # A metric that is named like the group of another one.
        return flat


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    if "_" in text:  # Python takes 1_000 for a number; whoever wrote it did not.
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _csv_rows(file: BinaryIO) -> Iterator[tuple[list[str], int]]:
    """Whole rows of a CSV file, the header first, each with the offset at which it ends."""
    import csv

    csv.field_size_limit(_MAX_FIELD_BYTES)
    end = 0
    is_whole = False

    def lines() -> Iterator[str]:
        nonlocal end, is_whole
        # Only a line feed ends a line: text in a field may hold other line separators.
        for line in file:
            end += len(line)
            is_whole = line.endswith(b"\n")
            # Python 3.10 refuses to read NUL.
            yield line.decode("utf-8", "replace").replace("\0", "\ufffd")

    width = 0
    try:
        # Strict: a file that ends within quotes ends with a torn row.
        for row in csv.reader(lines(), strict=True):
            width = width or len(row)
            if not is_whole or len(row) != width:
                return
            yield row, end
    except csv.Error:
        return  # The same as a torn row: what follows cannot be read.


# -- going back -----------------------------------------------------------------------------------


def rewind(trial_dir: str, count: int) -> bool:
    """Cuts the files of a trial back to its first results, and off a torn last line.

    Args:
        trial_dir: Directory of the trial.
        count: How many results to keep.

    Returns:
        Whether anything was cut.

    Raises:
        OSError: if a file cannot be read or cut.
    """
    json_is_cut = _cut(os.path.join(trial_dir, EXPR_RESULT_FILE), _json_end, count)
    csv_is_cut = _cut(os.path.join(trial_dir, EXPR_PROGRESS_FILE), _csv_end, count)
    return json_is_cut or csv_is_cut


def _cut(path: str, find_end: Callable[[BinaryIO, int], int], count: int) -> bool:
    try:
        with open(path, "r+b", opener=no_link) as file:
            end = find_end(file, count)
            if end == file.seek(0, os.SEEK_END):
                return False
            file.truncate(end)
            return True
    except FileNotFoundError:
        return False


def _json_end(file: BinaryIO, count: int) -> int:
    end = 0
    for line in itertools.islice(file, count):
        if not line.endswith(b"\n"):
            break
        end += len(line)
    return end


def _csv_end(file: BinaryIO, count: int) -> int:
    rows = _csv_rows(file)
    next(rows, None)
    # Without a row the header goes, too: the next first result makes a new one.
    end = 0
    for _, row_end in itertools.islice(rows, count):
        end = row_end
    return end


# -- after a power failure ------------------------------------------------------------------------


def restore_lost(trial_dir: str, results: Sequence[dict[str, Any]]) -> bool:
    """Writes the files of a trial anew if they hold fewer results than its record.

    The system may not have written them yet when the power failed; the record was.

    Args:
        trial_dir: Directory of the trial.
        results: Its history, with the configs.

    Returns:
        Whether anything was missing.

    Raises:
        OSError: if a file cannot be read or written.
    """
    if _count_lines(os.path.join(trial_dir, EXPR_RESULT_FILE)) >= len(results):
        return False
    lines = [dumps(result) + "\n" for result in results]
    write_file(os.path.join(trial_dir, EXPR_RESULT_FILE), "".join(lines).encode())
    rows = [csv_row(result) for result in results]
    text = io.StringIO(newline="")
    writer = row_writer(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_file(os.path.join(trial_dir, EXPR_PROGRESS_FILE), text.getvalue().encode())
    return True


def _count_lines(path: str) -> int:
    try:
        with open(path, "rb", opener=no_link) as file:
            return sum(line.endswith(b"\n") for line in file)
    except FileNotFoundError:
        return 0
