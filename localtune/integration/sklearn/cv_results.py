"""cv_results: the results of a search in the layout of scikit-learn's ``cv_results_``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.ma import MaskedArray

from localtune.integration.sklearn.folds import Task


def cv_results(
    params: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    task: Task,
) -> dict[str, Any]:
    """Returns the table of a search, with a row per trial.

    Args:
        params: Parameters of each candidate.
        rows: Last result of each candidate; empty for a candidate without a result.
        names: Names of the scores, as in ``mean_test_<name>``.
        task: The search.

    Returns:
        {column: array with an entry per candidate}; ``params`` is a list of dicts.
    """
    folds = range(len(task.splits))
    table: dict[str, Any] = {}

    def values(key: str, missing: Any = np.nan) -> Any:
        return np.array(
            [[row.get(f"split{fold}_{key}", missing) for fold in folds] for row in rows],
            dtype=float,
        )

    for key in ("fit_time", "score_time"):
        table[f"mean_{key}"] = values(key).mean(axis=1)
        table[f"std_{key}"] = values(key).std(axis=1)
    for name in dict.fromkeys(name for each in params for name in each):
        table[f"param_{name}"] = column(name, params)
    table["params"] = [dict(each) for each in params]
    parts = ("test", "train") if task.with_train_score else ("test",)
    for name in names:
        for part in parts:
            key = f"{part}_{name}"
            scores = values(key, np.nan if task.error_score == "raise" else task.error_score)
            for fold in folds:
                table[f"split{fold}_{key}"] = scores[:, fold]
            table[f"mean_{key}"] = scores.mean(axis=1)
            table[f"std_{key}"] = scores.std(axis=1)
            if part == "test":
                table[f"rank_{key}"] = ranks(table[f"mean_{key}"])
    table["training_iteration"] = np.array([row.get("training_iteration", 0) for row in rows])
    return table


def column(name: str, params: Sequence[Mapping[str, Any]]) -> Any:
    """Returns one parameter of all candidates as an array, masked where it is missing.

    Args:
        name: Name of the parameter.
        params: Parameters of each candidate.
    """
    values = [each[name] for each in params if name in each]
    numbers = all(isinstance(value, (bool, int, float, np.number)) for value in values)
    dtype = np.result_type(*map(np.asarray, values)) if numbers else object
    entries = MaskedArray(np.empty(len(params), dtype=dtype), mask=True)
    for number, each in enumerate(params):
        if name in each:
            entries[number] = each[name]
    return entries


def ranks(scores: Any) -> Any:
    """Returns the rank of each score: 1 for the largest, NaN last; equal scores share a rank."""
    known = np.nan_to_num(scores, nan=-np.inf)
    return np.array([1 + int((known > each).sum()) for each in known], dtype=np.int32)
