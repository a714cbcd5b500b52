"""Result: what one trial came to."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.error import ExtraMissingError
from localtune.result import CHECKPOINT_DIR_NAME, CONFIG_PREFIX
from localtune.storage import failures, history
from localtune.utils.dicts import flatten_dict

if TYPE_CHECKING:
    import pandas

    from localtune.experiment.trial import Trial

_CHECKPOINT_DIR = re.compile(r"checkpoint_\d+$")


@dataclass
class Result:
    """What one trial came to.

    Attributes:
        metrics: Its last result, nested; with what was filled in automatically, and its config.
        checkpoint: Its latest checkpoint, None without one.
        error: What it failed with, None if it ended well. Text where the exception itself could
            not be kept.
        path: Directory of the trial.
        best_checkpoints: (checkpoint, metrics) of those that retention keeps.
    """

    metrics: dict[str, Any] | None
    checkpoint: Checkpoint | None
    error: BaseException | str | None
    path: str = ""
    best_checkpoints: list[tuple[Checkpoint, dict[str, Any]]] = field(default_factory=list)

    @classmethod
    def from_trial(cls, trial: Trial) -> Result:
        """The result of a trial's record."""
        return cls(
            metrics=trial.last_result,
            checkpoint=trial.checkpoint,
            error=trial.get_error(),
            path=trial.path,
            best_checkpoints=[
                (tracked.checkpoint, tracked.metrics) for tracked in trial.checkpoints.best
            ],
        )

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> Result:
        """The result of a trial from its directory alone.

        Args:
            path: Directory of the trial.
            storage_filesystem: Accepted for compatibility.

        Raises:
            RuntimeError: if there is no such directory, or it holds no results.
        """
        directory = os.path.abspath(os.path.expanduser(os.fspath(path)))
        if not os.path.isdir(directory):
            raise RuntimeError(f"There is no directory of a trial at {directory!r}.")
        results = history.read_results(directory)
        if not results:
            raise RuntimeError(
                f"{directory!r} holds no results: neither result.json nor progress.csv has a row."
            )
        names = sorted(
            name for name in os.listdir(directory) if _CHECKPOINT_DIR.fullmatch(name)
        )
        rows = {
            result[CHECKPOINT_DIR_NAME]: result
            for result in results
            if result.get(CHECKPOINT_DIR_NAME)
        }
        checkpoints = [
            (Checkpoint(os.path.join(directory, name)), rows.get(name, {})) for name in names
        ]
        return cls(
            metrics=results[-1],
            checkpoint=checkpoints[-1][0] if checkpoints else None,
            error=failures.read_error(directory),
            path=directory,
            best_checkpoints=checkpoints,
        )

    @property
    def config(self) -> dict[str, Any] | None:
        """The trial's configuration."""
        return self.metrics.get(CONFIG_PREFIX) if self.metrics else None

    @property
    def filesystem(self) -> None:
        """None: results are on this machine's disks."""
        return None

    @property
    def metrics_dataframe(self) -> pandas.DataFrame | None:
        """All results of the trial, one row each, with flat columns; None if there are none.

        Raises:
            ExtraMissingError: if pandas is not installed.
        """
        return results_dataframe(self.path)

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The checkpoint whose metrics have the best value.

        Args:
            metric: Name of the metric, nested keys joined by ``/``.
            mode: ``"min"`` or ``"max"``.

        Raises:
            ValueError: for another mode.
            RuntimeError: if there are no checkpoints, or none has the metric.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
        if not self.best_checkpoints:
            raise RuntimeError(f"The trial in {self.path!r} has no checkpoints.")
        sign = 1 if mode == "max" else -1
        scored = [
            (sign * value, checkpoint)
            for checkpoint, metrics in self.best_checkpoints
            if isinstance(value := lookup(metrics, metric), (int, float)) and not math.isnan(value)
        ]
        if not scored:
            known = sorted({key for _, metrics in self.best_checkpoints for key in metrics})
            raise RuntimeError(
                f"No checkpoint in {self.path!r} has the metric {metric!r}. They have: "
                f"{', '.join(map(repr, known))}."
            )
        return max(scored, key=lambda pair: pair[0])[1]

    def __repr__(self) -> str:
        shown = {
            key: value for key, value in (self.metrics or {}).items() if key != CONFIG_PREFIX
        }
        lines = [f"metrics={shown!r}", f"config={self.config!r}", f"path={self.path!r}"]
        if self.checkpoint is not None:
            lines.append(f"checkpoint={self.checkpoint!r}")
        if self.error is not None:
            lines.append(f"error={type(self.error).__name__}")
        return "Result(\n  " + ",\n  ".join(lines) + "\n)"


def lookup(metrics: dict[str, Any], key: str) -> Any:
    """A metric by its flat name, None if it is missing."""
    if key in metrics:
        return metrics[key]
    return flatten_dict(metrics).get(key) if "/" in key else None


def results_dataframe(trial_dir: str) -> pandas.DataFrame | None:
    """All results of a trial as a DataFrame with flat columns, None if there are none.

    Raises:
        ExtraMissingError: if pandas is not installed.
    """
    pandas = import_pandas("A table of results")
    results = history.read_results(trial_dir)
    if not results:
        return None
    frame: Any = pandas.DataFrame([flatten_dict(result) for result in results])
    return frame  # type: ignore[no-any-return]


def import_pandas(purpose: str) -> Any:
    """The pandas module.

    Raises:
        ExtraMissingError: if it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ExtraMissingError("pandas", "pandas", purpose) from None
    return pandas
