"""The results of a trial as its files hold them: ``result.json`` and ``progress.csv``.

Each iteration stands once. When a trial goes back to an earlier iteration (a retry, a resumed
run), :func:`rewind` cuts off what will be done again, before the loggers append to the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from localtune.result import EXPR_PROGRESS_FILE, EXPR_RESULT_FILE, TRAINING_ITERATION


def iter_results(trial_dir: str) -> Iterator[dict[str, Any]]:
    """The results in ``result.json``, oldest first; a torn last line is left out."""
    try:
        with open(os.path.join(trial_dir, EXPR_RESULT_FILE), encoding="utf-8") as file:
            for line in file:
                result = _parse(line)
                if result is not None:
                    yield result
    except FileNotFoundError:
        return


def read_results(trial_dir: str) -> list[dict[str, Any]]:
    """The results of a trial: from ``result.json``, else (flat) from ``progress.csv``.

    Args:
        trial_dir: Directory of the trial.

    Returns:
        Results, oldest first; [] if there are none.
    """
    results = list(iter_results(trial_dir))
    if results:
        return results
    return list(_iter_csv(os.path.join(trial_dir, EXPR_PROGRESS_FILE)))


def rewind(trial_dir: str, iteration: int) -> bool:
    """Cuts the files back to an iteration, and mends a torn last line.

    Args:
        trial_dir: Directory of the trial.
        iteration: The last one to keep; 0 keeps none.

    Returns:
        Whether anything was cut.

    Raises:
        OSError: if a file cannot be rewritten; it is as it was then.
    """
    is_cut = _cut(
        os.path.join(trial_dir, EXPR_RESULT_FILE), lambda lines: _json_lines(lines, iteration)
    )
    csv_is_cut = _cut(
        os.path.join(trial_dir, EXPR_PROGRESS_FILE), lambda lines: _csv_lines(lines, iteration)
    )
    return is_cut or csv_is_cut


def _cut(path: str, keep: Callable[[list[str]], list[str]]) -> bool:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return False
    kept = "".join(keep(text.splitlines(keepends=True)))
    if kept == text:
        return False
    with open(path + ".new", "w", encoding="utf-8", newline="") as file:
        file.write(kept)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    return True


def _json_lines(lines: list[str], iteration: int) -> list[str]:
    kept = []
    for line in lines:
        result = _parse(line)
        if result is not None and _is_kept(result.get(TRAINING_ITERATION), iteration):
            kept.append(line)
    return kept


def _csv_lines(lines: list[str], iteration: int) -> list[str]:
    import csv

    # A value with a line break in it spans several lines of the file: write rows anew.
    rows = list(csv.reader(lines))
    if not rows or TRAINING_ITERATION not in rows[0]:
        return lines
    header = rows[0]
    column = header.index(TRAINING_ITERATION)
    whole = [row for row in rows[1:] if len(row) == len(header)]
    if lines and not lines[-1].endswith("\n") and whole and whole[-1] == rows[-1]:
        whole.pop()
    kept = [row for row in whole if _is_kept(_number(row[column]), iteration)]
    if len(kept) == len(rows) - 1 and lines[-1].endswith("\n"):
        return lines
    if not kept:
        # The header is made of the first result that comes.
        return []
    import io

    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, *kept])
    return [out.getvalue()]


def _is_kept(value: Any, iteration: int) -> bool:
    return not isinstance(value, (int, float)) or value <= iteration


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _parse(line: str) -> dict[str, Any] | None:
    if not line.endswith("\n"):
        return None
    try:
        result = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def _iter_csv(path: str) -> Iterator[dict[str, Any]]:
    import csv

    try:
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {key: _value(text) for key, text in row.items() if key is not None}
    except FileNotFoundError:
        return


def _value(text: str | None) -> Any:
    if text is None or text == "":
        return None
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
