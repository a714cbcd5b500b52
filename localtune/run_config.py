"""How a run is carried out and kept: RunConfig and the configs inside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from localtune.utils.files import current_directory
from localtune.utils.remote_store import (
    checked_filesystem,
    is_local_filesystem,
    is_uri,
    local_path,
)

if TYPE_CHECKING:
    from localtune.callback import Callback
    from localtune.progress_reporter import ProgressReporter
    from localtune.stopper import Stopper

    StopCondition = (
        Mapping[str, Any] | Stopper | Callable[[str, Mapping[str, Any]], bool] | Sequence[Stopper]
    )

_Config = TypeVar("_Config")

DEFAULT_STORAGE_PATH = "~/localtune_results"


@dataclass
class CheckpointConfig:
    """When checkpoints are made and which are kept.

    Args:
        num_to_keep: How many checkpoints of a trial to keep (plus the newest); None keeps all.
        checkpoint_score_attribute: Metric that ranks them; None ranks by time.
        checkpoint_score_order: ``"max"`` or ``"min"``.
        checkpoint_frequency: Save every so many iterations; 0 is never. Classes only.
        checkpoint_at_end: Save when a trial ends. None is True for classes in a
            :class:`~localtune.Tuner`, else False.

    Raises:
        ValueError: for a value out of its range.
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str | None = "max"
    checkpoint_frequency: int | None = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        if self.num_to_keep is not None and not _is_count(self.num_to_keep, 1):
            raise ValueError(
                "num_to_keep must be a whole number of at least 1, or None to keep all, "
                f"but got {self.num_to_keep!r}."
            )
        attribute = self.checkpoint_score_attribute
        if attribute is not None and not isinstance(attribute, str):
            raise ValueError(
                "checkpoint_score_attribute must be the name of a metric, or None to rank by "
                f"time, but got {attribute!r}."
            )
        if self.checkpoint_score_order not in ("max", "min"):
            raise ValueError(
                "checkpoint_score_order must be 'max' or 'min', "
                f"but got {self.checkpoint_score_order!r}."
            )
        if self.checkpoint_frequency is not None and not _is_count(self.checkpoint_frequency, 0):
            raise ValueError(
                "checkpoint_frequency must be a whole number, 0 (never) or more, "
                f"but got {self.checkpoint_frequency!r}."
            )


@dataclass
class FailureConfig:
    """What happens when trials fail.

    Args:
        max_failures: How often one trial is restarted from its latest checkpoint; -1 is
            without end.
        fail_fast: True ends the run at the first failure; ``"raise"`` also raises the error.
        iteration_timeout_s: Seconds after which a step (or a setup, save, restore) that has not
            come back is a failure of its trial; None is no limit.
        trial_timeout_s: Seconds of running, over its whole life, after which a trial has failed;
            it is not retried. None is no limit.
        retry_wait_s: Seconds from a failure to the next try; doubles with each failure of the
            trial, up to 300.
        max_failed_trials: How many trials may fail for good before the run ends early; -1 is
            without end. None ends it when 20 trials have failed and none has given a result.

    Raises:
        ValueError: for another value, or for ``fail_fast`` and ``max_failures`` at once.
    """

    max_failures: int = 0
    fail_fast: bool | str = False
    iteration_timeout_s: float | None = None
    trial_timeout_s: float | None = None
    retry_wait_s: float = 0.0
    max_failed_trials: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fail_fast, str) and self.fail_fast.lower() == "raise":
            self.fail_fast = "raise"
        check_max_failures(self.max_failures)
        if not (isinstance(self.fail_fast, bool) or self.fail_fast == "raise"):
            raise ValueError(f"fail_fast must be a bool or 'raise', but got {self.fail_fast!r}.")
        if self.fail_fast and self.max_failures != 0:
            raise ValueError(
                f"max_failures must be 0 if fail_fast is set, but got {self.max_failures}: "
                "a run that ends at the first failure retries nothing."
            )
        for name in ("iteration_timeout_s", "trial_timeout_s"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise ValueError(f"{name} must be None or more than 0 seconds, but got {value!r}.")
        if not isinstance(self.retry_wait_s, (int, float)) or not self.retry_wait_s >= 0:
            raise ValueError(
                f"retry_wait_s must be at least 0 seconds, but got {self.retry_wait_s!r}."
            )
        limit = self.max_failed_trials
        if limit is not None and (not isinstance(limit, int) or limit < -1):
            raise ValueError(
                f"max_failed_trials must be None, -1 (no limit) or at least 0, but got {limit!r}."
            )


@dataclass
class SyncConfig:
    """How an experiment with remote storage is uploaded. Without, trials write to their place.

    Args:
        sync_period: Seconds between two uploads of histories; new checkpoints, and trials that
            end, are uploaded soon in any case.
        sync_timeout: Seconds that the end of a run waits for the rest to be uploaded.
        sync_artifacts: Whether all files in the trials' directories are uploaded, not just
            histories, errors and checkpoints.
        sync_artifacts_on_checkpoint: Accepted for compatibility: artifacts are uploaded with
            whatever else is.

    Raises:
        ValueError: for a value that is no number of seconds.
    """

    sync_period: int = 300
    sync_timeout: int = 1800
    sync_artifacts: bool = False
    sync_artifacts_on_checkpoint: bool = True

    def __post_init__(self) -> None:
        for name in ("sync_period", "sync_timeout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value >= 0:
                raise ValueError(f"{name} must be at least 0 seconds, but got {value!r}.")


@dataclass
class RunConfig:
    """Where a run is kept, when it stops, how failures and checkpoints are treated.

    Args:
        name: Name of the experiment's directory. None makes one of the trainable's name,
            the time and a random ending.
        storage_path: Absolute directory, or one that starts with ``~``; None is
            ``~/localtune_results``. Or the URI of remote storage (``s3://bucket/sweeps``).
        storage_filesystem: A file system object of fsspec or pyarrow that ``storage_path`` is in;
            None finds it by the URI.
        failure_config: See :class:`FailureConfig`.
        checkpoint_config: See :class:`CheckpointConfig`.
        sync_config: See :class:`SyncConfig`.
        verbose: 0 silent, 1 status and best trials (default), 2 also each result, 3 also each
            result in full.
        stop: Stop conditions: ``{metric: bound}``, a callable ``(trial_id, result) -> bool``,
            a :class:`~localtune.Stopper`, or a list of stoppers.
        callbacks: Called at each step of a trial's life.
        progress_reporter: Shows progress instead of the built-in output.
        if_exists: What happens if an experiment of that name is there already: ``"add"`` adds a run
            to it, and a warning says what is there; ``"error"`` refuses; ``"resume"`` goes on with
            its latest run, or starts if there is none.
        log_to_file: Send each trial's output to files in its directory: True (``stdout`` and
            ``stderr``), one name for both, or a pair of names.

    Raises:
        ValueError: for a ``storage_path`` that is not absolute, a ``storage_filesystem`` or one of
            the configs that is none, another ``verbose``, or another ``if_exists``.
    """

    name: str | None = None
    storage_path: str | os.PathLike[str] | None = None
    storage_filesystem: Any = None
    failure_config: FailureConfig | None = None
    checkpoint_config: CheckpointConfig | None = None
    sync_config: SyncConfig | None = None
    verbose: int | Verbosity | None = None
    stop: StopCondition | None = None
    callbacks: list[Callback] | None = None
    progress_reporter: ProgressReporter | None = None
    log_to_file: bool | str | tuple[str | None, str | None] = False
    local_dir: str | None = None
    if_exists: str = "add"

    def __post_init__(self) -> None:
        if self.local_dir is not None:
            raise DeprecationWarning(
                f"RunConfig(local_dir={self.local_dir!r}) is not supported: "
                "pass the directory as storage_path."
            )
        self.storage_path = resolve_storage_path(self.storage_path, self.storage_filesystem)
        if self.verbose is None:
            self.verbose = 1
        check_verbosity(self.verbose)
        check_if_exists(self.if_exists)
        self.failure_config = config_of(FailureConfig, "failure_config", self.failure_config)
        self.checkpoint_config = config_of(
            CheckpointConfig, "checkpoint_config", self.checkpoint_config
        )
        self.sync_config = config_of(SyncConfig, "sync_config", self.sync_config)


class Verbosity(int, Enum):
    """How much a run prints."""

    V0_MINIMAL = 0
    V1_EXPERIMENT = 1
    V2_TRIAL_NORM = 2
    V3_TRIAL_DETAILS = 3


@dataclass
class ResumeConfig:
    """What happens to each kind of trial when a run is taken up again.

    Args:
        finished: Trials that ended well.
        unfinished: Trials that were waiting, running or paused.
        errored: Trials that failed.
    """

    class ResumeType(Enum):
        """RESUME goes on from the latest checkpoint, RESTART anew, SKIP leaves it as it is."""

        RESUME = "resume"
        RESTART = "restart"
        SKIP = "skip"

    finished: ResumeType = field(default=ResumeType.SKIP)
    unfinished: ResumeType = field(default=ResumeType.RESUME)
    errored: ResumeType = field(default=ResumeType.SKIP)


def config_of(kind: type[_Config], name: str, given: Any) -> _Config:
    """The config that was given, or the default one in place of None.

    Args:
        kind: Its class.
        name: The argument that it was given as.
        given: The config, or None.

    Raises:
        ValueError: for an object of another class.
    """
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise ValueError(
            f"{name} must be a {kind.__name__}, but got {given!r}. "
            f"Pass {name}={kind.__name__}(...)."
        )
    return given


def check_verbosity(verbose: int) -> None:
    """Raises ValueError if ``verbose`` is no level of output."""
    if not isinstance(verbose, int) or not 0 <= verbose <= 3:
        raise ValueError(f"verbose must be 0, 1, 2 or 3, but got {verbose!r}.")


def check_if_exists(if_exists: Any) -> str:
    """Returns ``if_exists`` if it says what to do with a name that is taken.

    Raises:
        ValueError: if it does not.
    """
    if if_exists not in ("add", "error", "resume"):
        raise ValueError(f"if_exists must be 'add', 'error' or 'resume', but got {if_exists!r}.")
    return str(if_exists)


def check_max_failures(max_failures: Any) -> int:
    """Returns ``max_failures`` if it is a whole number.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(max_failures, int) or isinstance(max_failures, bool):
        raise ValueError(
            "max_failures must be a whole number (-1 retries without end), but got "
            f"{max_failures!r}."
        )
    return max_failures


def resolve_storage_path(path: str | os.PathLike[str] | None, filesystem: Any = None) -> str:
    """The absolute directory, or the place in a store, that a ``storage_path`` means.

    Args:
        path: The ``storage_path``.
        filesystem: The ``storage_filesystem``.

    Raises:
        ValueError: for what is no path, a relative path of this machine, or a ``filesystem`` that
            is none.
        ExtraMissingError: for a ``filesystem`` without fsspec.
    """
    if not (path is None or isinstance(path, (str, os.PathLike))):
        raise ValueError(f"storage_path must be the path of a directory, but got {path!r}.")
    text = os.fspath(path) if path is not None else DEFAULT_STORAGE_PATH
    if filesystem is not None and not is_local_filesystem(filesystem):
        checked_filesystem(filesystem)
        if path is None:
            raise ValueError("storage_filesystem needs a storage_path: a path in it.")
        return text.rstrip("/")
    if is_uri(text):
        return text.rstrip("/")
    text = local_path(text)
    if not os.path.isabs(text):
        raise ValueError(
            f"storage_path must be absolute, but got {text!r}. "
            f"Use {os.path.join(current_directory() or os.sep, text)!r}, or a path that starts "
            "with '~'."
        )
    return os.path.normpath(text)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
