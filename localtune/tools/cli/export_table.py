"""Trials or results as a table: CSV, JSON, Parquet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.result import CONFIG_PREFIX, TRIAL_ID
from localtune.utils.dicts import flatten_dict
from localtune.utils.files import write_file

if TYPE_CHECKING:
    from localtune.analysis.reader import SavedExperiment
    from localtune.trial.trial import Trial


def export_table(saved: SavedExperiment, path: str, kind: str, rows: str) -> int:
    """Writes an experiment as a table; a file that is there is replaced at once or not at all.

    Args:
        saved: The experiment.
        path: The file.
        kind: ``"csv"``, ``"json"`` or ``"parquet"``.
        rows: ``"trials"`` or ``"results"``.

    Returns:
        How many rows it has.

    Raises:
        ExtraMissingError: for Parquet without pandas and pyarrow.
    """
    nested = list(_rows(saved, rows))
    if kind == "json":
        from localtune.tools.commands.json_text import json_text

        write_file(path, f"{json_text(nested)}\n".encode(), sync=False)
        return len(nested)
    flat = [flatten_dict(row) for row in nested]
    write_file(path, _csv(flat) if kind == "csv" else _parquet(flat), sync=False)
    return len(flat)


def _rows(saved: SavedExperiment, rows: str) -> Iterator[dict[str, Any]]:
    if rows == "trials":
        for trial in saved.trials:
            about = _about(trial)
            yield {**about, **_without_config(trial.last_result), CONFIG_PREFIX: trial.config}
        return
    for trial, results in saved.histories():
        about = _about(trial)
        for result in results:
            yield {**about, **_without_config(result), CONFIG_PREFIX: trial.config}


def _about(trial: Trial) -> dict[str, Any]:
    error = trial.get_error()
    return {
        TRIAL_ID: trial.trial_id,
        "status": trial.status.value,
        "error": str(error) if error is not None else None,
    }


def _without_config(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in (CONFIG_PREFIX, TRIAL_ID)}


def _csv(rows: list[dict[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns or [TRIAL_ID], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        missing = error.name or "pyarrow"
        raise ExtraMissingError(missing, "parquet", "An export to Parquet") from None
    frame = pandas.DataFrame(rows)
    for name in frame.columns:
        # A column of Parquet has one type; a parameter may be 3 here and "auto" there.
        if frame[name].dtype == object and not _is_of_one_type(frame[name].dropna()):
            frame[name] = frame[name].map(_text_or_none)
    content: bytes = frame.to_parquet(None, index=False)
    return content


def _is_of_one_type(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values}
    return len(kinds) <= 1 and kinds <= {str, bool, int, float}


def _text_or_none(value: Any) -> str | None:
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    return None if is_missing else str(value)
