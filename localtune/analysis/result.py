"""Result: the metrics, checkpoints and error of one trial."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.config.checks import check_metric_and_mode
from localtune.error import StorageError, UntrustedDirectoryError
from localtune.old_names.attributes import OldAttribute
from localtune.result import (
    AUTO_RESULT_KEYS,
    CHECKPOINT_DIR_NAME,
    CONFIG_PREFIX,
)
from localtune.storage import failures
from localtune.storage.histories import results_in
from localtune.storage.reader import has_database
from localtune.storage.remote import attach_path, needs_store, split_path
from localtune.storage.shared_copy import DatabaseReader, reader_of
from localtune.trial import history_files
from localtune.trial.checkpoint_dirs import is_checkpoint_name
from localtune.trial.pickled_object import opened_result
from localtune.utils.best import best_of, is_number
from localtune.utils.data_frames import data_frame
from localtune.utils.dicts import unflattened_lookup
from localtune.utils.messages import get_logger
from localtune.utils.remote_fetch import is_remote_checkpoint
from localtune.utils.remote_store import local_path
from localtune.utils.text import printable
from localtune.utils.trust import check_trusted

if TYPE_CHECKING:
    import pandas

    from localtune.trial.trial import Trial

logger = get_logger(__name__)


@dataclass
class Result:
    """The result of one trial.

    Attributes:
        metrics: Its last result, nested; with what was filled in automatically, and its config.
        checkpoint: Its latest checkpoint, None without one.
        error: The exception that it failed with, None if it ended well. Text if the exception
            could not be kept.
        path: Directory of the trial.
        best_checkpoints: (checkpoint, metrics) of each checkpoint that retention keeps.
    """

    metrics: dict[str, Any] | None
    checkpoint: Checkpoint | None
    error: BaseException | str | None
    path: str | None = None
    best_checkpoints: list[tuple[Checkpoint, dict[str, Any]]] = field(default_factory=list)

    log_dir = OldAttribute("Result.log_dir")
    logdir = OldAttribute("Result.logdir")

    # Whether to read an experiment that another user could have written. Not a dataclass field.
    _trust = False

    @classmethod
    def from_trial(cls, trial: Trial) -> Result:
        """Makes the result of a trial's record."""
        result = cls(
            metrics=opened_result(trial.last_result),
            checkpoint=trial.checkpoint,
            error=trial.get_error(),
            path=trial.path,
            best_checkpoints=[
                (tracked.checkpoint, opened_result(tracked.metrics))
                for tracked in trial.checkpoints.best
            ],
        )
        result._trust = True  # The trial has been read.
        return result

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        storage_filesystem: Any = None,
        *,
        trust: bool = False,
    ) -> Result:
        """Reads the result of a trial from its directory.

        In the directory of its experiment, the experiment's record is read, too: it has the
        metrics of every checkpoint, and tells whether a failed trial recovered. A directory that
        was moved out of there is enough.

        Args:
            path: Directory of the trial; or its URI, in that of its experiment.
            storage_filesystem: See :class:`~localtune.RunConfig`.
            trust: Read the experiment though another user could have written it.

        Raises:
            RuntimeError: if there is no such directory, or it is not that of a trial.
            StorageError: if its history is damaged.

        Example:
            >>> Result.from_path("~/localtune_results/sweep/train_1a2b_00000")  # doctest: +SKIP
        """
        if needs_store(path, storage_filesystem):
            experiment, name = split_path(path)
            trial_dir = os.path.join(attach_path(experiment, storage_filesystem), name)
        else:
            trial_dir = os.path.abspath(local_path(path))
        if not os.path.isdir(trial_dir):
            raise RuntimeError(f"There is no directory of a trial at {trial_dir!r}.")
        check_trusted(trial_dir, trust=trust)
        experiment_path = os.path.dirname(trial_dir)
        check_trusted(experiment_path, trust=trust or not has_database(experiment_path))
        reader = reader_of(experiment_path)
        result = cls._read(trial_dir, trust)
        result._trust, result._reader = trust, reader
        return result

    @classmethod
    def _read(cls, trial_dir: str, trust: bool) -> Result:
        trial = _recorded_trial(trial_dir, trust=trust)
        if trial is not None and trial.is_finished():
            return cls.from_trial(trial)
        if not history_files.has_results_file(trial_dir):
            raise RuntimeError(
                f"{trial_dir!r} is not the directory of a trial: it has neither result.json nor "
                "progress.csv."
            )
        results = history_files.read_results(trial_dir)
        checkpoints = _checkpoints_in(trial_dir, results, trial)
        return cls(
            metrics=results[-1] if results else {},
            checkpoint=checkpoints[-1][0] if checkpoints else None,
            error=trial.get_error() if trial else failures.read_error(trial_dir, trust=trust),
            path=trial_dir,
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

    @cached_property
    def _reader(self) -> DatabaseReader:
        """Reader of the database. Holding it keeps a copy for all results of the experiment."""
        return reader_of(os.path.dirname(self.path or ""))

    @cached_property
    def metrics_dataframe(self) -> pandas.DataFrame | None:
        """Table of all results of the trial, with flat columns; None without a directory.

        The first access reads them from the experiment's database. Results of one experiment share
        a copy of it while they are kept, as those of a grid are.

        Raises:
            ExtraMissingError: if pandas is not installed.
            StorageError: if the trial's history is damaged.
        """
        if not self.path:
            return None
        self._reader  # noqa: B018
        return data_frame(results_in(self.path, trust=self._trust))

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """Returns the checkpoint whose metrics have the best value; of equal ones the oldest.

        Args:
            metric: Name of the metric, nested keys joined by ``/``.
            mode: ``"min"`` or ``"max"``.

        Raises:
            ValueError: for another mode.
            RuntimeError: if there are no checkpoints, or none has the metric.
        """
        check_metric_and_mode(metric, mode)
        if not self.best_checkpoints:
            raise RuntimeError(f"The trial in {self.path!r} has no checkpoints.")
        best = best_of(
            (
                (checkpoint, value)
                for checkpoint, metrics in self.best_checkpoints
                if is_number(value := unflattened_lookup(metric, metrics, default=None))
            ),
            mode,
        )
        if best is None:
            known = sorted({key for _, metrics in self.best_checkpoints for key in metrics})
            raise RuntimeError(
                f"No checkpoint of the trial in {self.path!r} has a value of {metric!r}. "
                f"They have: {', '.join(known) or 'nothing'}."
            )
        return best

    def __repr__(self) -> str:
        metrics = {
            key: value for key, value in (self.metrics or {}).items() if key not in AUTO_RESULT_KEYS
        }
        lines = [f"metrics={metrics!r}", f"config={self.config!r}", f"path={self.path!r}"]
        if self.checkpoint is not None:
            lines.append(f"checkpoint={self.checkpoint!r}")
        if self.error is not None:
            kind = "" if isinstance(self.error, str) else f"{type(self.error).__name__}: "
            first_line = next(iter(str(self.error).splitlines()), "")
            lines.append(f"error={kind}{printable(first_line)}")
        return "Result(\n  " + ",\n  ".join(lines) + "\n)"


def _recorded_trial(trial_dir: str, *, trust: bool) -> Trial | None:
    from localtune.storage.reading import load_trial

    try:
        return load_trial(trial_dir, trust=trust)
    except UntrustedDirectoryError:
        raise
    except StorageError as error:
        logger.warning("%s is read from its own files. %s", trial_dir, error)
        return None


def _checkpoints_in(
    trial_dir: str, results: list[dict[str, Any]], trial: Trial | None
) -> list[tuple[Checkpoint, dict[str, Any]]]:
    """Returns the checkpoints in a directory, oldest first, with the results they belong to."""
    metrics_of = {result.get(CHECKPOINT_DIR_NAME): result for result in results}
    if trial is not None:
        for tracked in trial.checkpoints.kept:
            metrics_of[os.path.basename(tracked.checkpoint.path)] = tracked.metrics
    found = {name for name in os.listdir(trial_dir) if is_checkpoint_name(name)}
    if trial is not None:
        found |= {
            os.path.basename(tracked.checkpoint.path)
            for tracked in trial.checkpoints.kept
            if is_remote_checkpoint(tracked.checkpoint.path)
        }
    names = sorted(found, key=lambda name: (len(name), name))
    return [(Checkpoint(os.path.join(trial_dir, name)), metrics_of.get(name, {})) for name in names]
