"""Helpers of the report callbacks: choose metrics, and report them with a checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.trainable.session import report

Metrics = str | Sequence[str] | Mapping[str, str] | None
PostProcess = Callable[[dict[str, Any]], dict[str, Any]] | None


def names_of(metrics: Metrics) -> dict[str, str] | None:
    """Returns {name to report: name in the library}; None for all metrics."""
    if metrics is None:
        return None
    if isinstance(metrics, str):
        return {metrics: metrics}
    if isinstance(metrics, Mapping):
        return dict(metrics)
    return {name: name for name in metrics}


def choose(names: Mapping[str, str] | None, logged: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metrics to report.

    Args:
        names: {name to report: name in the library}; None for all metrics.
        logged: The metrics that the library has logged.

    Raises:
        ValueError: if a metric is missing.
    """
    if names is None:
        return dict(logged)
    missing = sorted(set(names.values()) - logged.keys())
    if missing:
        raise ValueError(
            f"metrics must name logged metrics, but got {', '.join(map(repr, missing))}. "
            f"Logged are: {', '.join(map(repr, sorted(logged))) or 'none'}."
        )
    return {name: logged[key] for name, key in names.items()}


def report_with(metrics: dict[str, Any], save: Callable[[Path], object]) -> None:
    """Reports metrics together with a checkpoint.

    Args:
        metrics: Metrics of one iteration.
        save: Writes the checkpoint into the directory that it gets.
    """
    with tempfile.TemporaryDirectory(prefix="localtune-checkpoint-") as directory:
        save(Path(directory))
        report(metrics, checkpoint=Checkpoint.from_directory(directory))
