"""RunConfig: how a run is carried out and stored."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.checks import config_of
from localtune.config.failure import FailureConfig
from localtune.config.sync import SyncConfig
from localtune.old_names.arguments import old_arguments_of_class
from localtune.utils.files import current_directory
from localtune.utils.remote_store import (
    checked_filesystem,
    is_local_filesystem,
    is_uri,
    local_path,
)

if TYPE_CHECKING:
    from localtune.config.protocols import CallbackLike, ReporterLike, StopperLike

    StopCondition = (
        Mapping[str, Any]
        | StopperLike
        | Callable[[str, Mapping[str, Any]], bool]
        | Sequence[StopperLike]
    )


DEFAULT_STORAGE_PATH = "~/localtune_results"
# Most file systems allow this many.
_MAX_NAME_BYTES = 255


@old_arguments_of_class("RunConfig")
@dataclass
class RunConfig:
    """How a run is carried out and stored.

    Args:
        name: Name of the experiment's directory. None makes one of the trainable's name,
            the time and a random ending.
        storage_path: Absolute directory, or one that starts with ``~``, or the URI of remote
            storage (``s3://bucket/sweeps``). None is ``~/localtune_results``.
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
        if_exists: What to do if there is an experiment of that name: ``"add"`` adds a run to it
            and warns, ``"error"`` raises an error, ``"resume"`` goes on with its latest run. If
            there is none, the run begins in each case.
        log_to_file: Send each trial's output to files in its directory: True (``stdout`` and
            ``stderr``), one name for both, or a pair of names.

    Raises:
        ValueError: for a value that makes no sense. Stop conditions and callbacks are checked when
            a run is prepared.
    """

    name: str | None = None
    storage_path: str | os.PathLike[str] | None = None
    storage_filesystem: Any = None
    failure_config: FailureConfig | None = None
    checkpoint_config: CheckpointConfig | None = None
    sync_config: SyncConfig | None = None
    verbose: int | Verbosity | None = None
    stop: StopCondition | None = None
    callbacks: Sequence[CallbackLike] | None = None
    progress_reporter: ReporterLike | None = None
    log_to_file: bool | str | tuple[str | None, str | None] = False
    if_exists: str = "add"

    def __post_init__(self) -> None:
        if isinstance(self.sync_config, SyncConfig) and self.sync_config._upload_dir:
            self.storage_path = self.sync_config._upload_dir
        self.storage_path = resolve_storage_path(self.storage_path, self.storage_filesystem)
        if self.verbose is None:
            self.verbose = 1
        check_verbosity(self.verbose)
        check_if_exists(self.if_exists)
        log_files(self.log_to_file)
        if self.name is not None:
            check_experiment_name(self.name)
        self.failure_config = config_of(FailureConfig, "failure_config", self.failure_config)
        self.checkpoint_config = config_of(
            CheckpointConfig, "checkpoint_config", self.checkpoint_config
        )
        self.sync_config = config_of(SyncConfig, "sync_config", self.sync_config)

    @property
    def output_files(self) -> tuple[str | None, str | None]:
        """(stdout file, stderr file) of each trial, None where output is not redirected."""
        return log_files(self.log_to_file)


def copy_of(config: RunConfig) -> RunConfig:
    """A copy that shares no config, no stop bounds and no list of callbacks with the original."""
    config = dataclasses.replace(config)
    config.failure_config = dataclasses.replace(
        config_of(FailureConfig, "failure_config", config.failure_config)
    )
    config.checkpoint_config = dataclasses.replace(
        config_of(CheckpointConfig, "checkpoint_config", config.checkpoint_config)
    )
    config.sync_config = dataclasses.replace(
        config_of(SyncConfig, "sync_config", config.sync_config)
    )
    if isinstance(config.stop, Mapping):
        config.stop = dict(config.stop)
    if isinstance(config.callbacks, list):
        config.callbacks = list(config.callbacks)
    return config


class Verbosity(int, Enum):
    """How much a run prints."""

    V0_MINIMAL = 0
    V1_EXPERIMENT = 1
    V2_TRIAL_NORM = 2
    V3_TRIAL_DETAILS = 3


def check_verbosity(verbose: int) -> None:
    """Raises ValueError if ``verbose`` is no level of output."""
    if not isinstance(verbose, int) or not 0 <= verbose <= 3:
        raise ValueError(f"verbose must be 0, 1, 2 or 3, but got {verbose!r}.")


def check_if_exists(if_exists: Any) -> str:
    """Returns ``if_exists`` after a check.

    Raises:
        ValueError: for an unknown value.
    """
    if if_exists not in ("add", "error", "resume"):
        raise ValueError(f"if_exists must be 'add', 'error' or 'resume', but got {if_exists!r}.")
    return str(if_exists)


def resolve_storage_path(path: str | os.PathLike[str] | None, filesystem: Any = None) -> str:
    """Returns the absolute directory, or the URI, for a ``storage_path``.

    Args:
        path: The ``storage_path``.
        filesystem: The ``storage_filesystem``.

    Raises:
        ValueError: for an object that is no path, a relative path of this machine, or a
            ``filesystem`` that is none.
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


def check_experiment_name(name: str) -> str:
    """Returns a name that an experiment's directory can have.

    Raises:
        ValueError: if it is empty, leads out of the storage path, or is too long.
    """
    is_name = isinstance(name, str) and name not in ("", ".", "..")
    if not is_name or any(char in name for char in "/\\\0"):
        raise ValueError(
            "name must be the name of one directory (no '/', no '..', not empty), "
            f"but got {name!r}. Put the path into storage_path."
        )
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        raise ValueError(
            f"name must be at most {_MAX_NAME_BYTES} bytes long, but is "
            f"{len(os.fsencode(name))}: {name[:40]!r}..."
        )
    return name


def log_files(log_to_file: Any) -> tuple[str | None, str | None]:
    """Returns (stdout file, stderr file) for ``log_to_file``.

    Raises:
        ValueError: if it is neither a bool, a name, nor a pair of names.
    """
    if not log_to_file:
        return (None, None)
    if log_to_file is True:
        return ("stdout", "stderr")
    if isinstance(log_to_file, str):
        return (log_to_file, log_to_file)
    if isinstance(log_to_file, (tuple, list)) and len(log_to_file) == 2:
        stdout, stderr = log_to_file
        if all(name is None or isinstance(name, str) for name in log_to_file):
            return (stdout or None, stderr or None)
    raise ValueError(
        "log_to_file must be True, one file name, or a pair (stdout, stderr) of names or None, "
        f"but got {log_to_file!r}."
    )
