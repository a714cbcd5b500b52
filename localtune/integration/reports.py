"""What the report callbacks have in common: choose metrics, report them with a checkpoint."""

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
    """Name to report -> name in the library; None is all of them."""
    if metrics is None:
        return None
    if isinstance(metrics, str):
        return {metrics: metrics}
    if isinstance(metrics, Mapping):
        return dict(metrics)
    return {name: name for name in metrics}


def choose(names: Mapping[str, str] | None, logged: Mapping[str, Any]) -> dict[str, Any]:
    """Takes what is to be reported from what a library logged.

    Raises:
        ValueError: A metric is not there.
    """
    if names is None:
        return dict(logged)
    missing = sorted(set(names.values()) - logged.keys())
    if missing:
        raise ValueError(
            f"metrics names {', '.join(map(repr, missing))}, which was not logged. "
            f"Logged were: {', '.join(map(repr, sorted(logged))) or 'none'}."
        )
    return {name: logged[key] for name, key in names.items()}


def report_with(metrics: dict[str, Any], save: Callable[[Path], object]) -> None:
    """Reports metrics together with a checkpoint.

    Args:
        metrics: Metrics of one iteration.
        save: Writes the checkpoint into the directory that it is given.
    """
    with tempfile.TemporaryDirectory(prefix="localtune-checkpoint-") as directory:
        save(Path(directory))
        report(metrics, checkpoint=Checkpoint.from_directory(directory))
