"""Experiment: a trainable, its search space, and how its trials are run."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.config.checks import config_of
from localtune.config.failure import check_max_failures
from localtune.config.run import resolve_storage_path
from localtune.config.sync import SyncConfig
from localtune.controller.naming import check_experiment_name
from localtune.error import TuneError
from localtune.registry import get_trainable_cls, register_trainable, trainable_name
from localtune.resources import resource_dict_to_pg_factory
from localtune.search.space import SearchSpace
from localtune.stopper.coerce import as_stopper
from localtune.storage.paths import check_experiment_dir
from localtune.storage.remote import attach, needs_store, remote_version, working_storage_path
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import is_function_trainable
from localtune.trial.export_format import ExportFormat
from localtune.utils.remote_fetch import with_retries
from localtune.utils.remote_store import RemoteStore, is_uri, local_path, open_store
from localtune.utils.text import near_miss
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable
    from localtune.trial.trial import Trial


class Experiment:
    """What one experiment consists of.

    Args:
        name: Name of the experiment's directory; None makes one of the trainable's name, the
            time and a random ending.
        run: A function, a Trainable class, or a registered name.
        stop: Stop conditions, see :class:`~localtune.RunConfig`.
        time_budget_s: Seconds after which everything is stopped.
        config: Search space.
        resources_per_trial: Resource request, if the trainable has none of its own.
        num_samples: See :class:`~localtune.TuneConfig`.
        storage_path: See :class:`~localtune.RunConfig`.
        storage_filesystem: See :class:`~localtune.RunConfig`.
        sync_config: See :class:`~localtune.SyncConfig`.
        checkpoint_config: See :class:`~localtune.CheckpointConfig`.
        trial_name_creator: ``trial -> str``.
        trial_dirname_creator: ``trial -> str``.
        log_to_file: See :class:`~localtune.RunConfig`.
        export_formats: Formats that :meth:`Trainable.export_model` writes at the end of a trial.
        max_failures: How often a trial is retried; -1 is without end.
        restore: Checkpoint directory, or its URI, that all trials start from.

    Raises:
        TuneError: for a trainable that is none.
        ValueError: for a value that makes no sense.
    """

    def __init__(
        self,
        name: str | None,
        run: Any,
        *,
        stop: Any = None,
        time_budget_s: float | datetime.timedelta | None = None,
        config: Mapping[str, Any] | None = None,
        resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None,
        num_samples: int = 1,
        storage_path: str | os.PathLike[str] | None = None,
        storage_filesystem: Any = None,
        sync_config: SyncConfig | None = None,
        checkpoint_config: CheckpointConfig | None = None,
        trial_name_creator: Callable[[Trial], str] | None = None,
        trial_dirname_creator: Callable[[Trial], str] | None = None,
        log_to_file: bool | str | tuple[str | None, str | None] = False,
        export_formats: str | list[str] | None = None,
        max_failures: int = 0,
        restore: str | os.PathLike[str] | None = None,
        local_dir: str | None = None,
    ) -> None:
        if local_dir is not None:
            raise DeprecationWarning("Experiment(local_dir=...): use storage_path instead.")
        self.run_identifier = register(run)
        self.config: dict[str, Any] = dict(config or {})
        _check_names(self.config)
        SearchSpace(self.config)
        self.num_samples = check_num_samples(num_samples)
        self.stopper = as_stopper(stop)
        self.stopping_criterion = dict(stop) if isinstance(stop, Mapping) else {}
        self.time_budget_s = check_time_budget(time_budget_s)
        resource_dict_to_pg_factory(resources_per_trial)
        self.resources_per_trial = resources_per_trial
        self.storage_path = resolve_storage_path(storage_path, storage_filesystem)
        self.storage_filesystem = storage_filesystem
        self._remote: RemoteStore | None = None
        if needs_store(self.storage_path, storage_filesystem):
            self._remote = open_store(self.storage_path, storage_filesystem)
            self.storage_path = working_storage_path(self.storage_path, storage_filesystem)
        self.sync_config = config_of(SyncConfig, "sync_config", sync_config)
        self.checkpoint_config = check_checkpoint_config(
            config_of(CheckpointConfig, "checkpoint_config", checkpoint_config), self.trainable
        )
        self.trial_name_creator = trial_name_creator
        self.trial_dirname_creator = trial_dirname_creator
        self.log_to_file = log_files(log_to_file)
        self.export_formats = formats_of(export_formats, self.trainable)
        self.max_failures = check_max_failures(max_failures)
        self.restore = check_restore_path(restore)
        self.name = check_experiment_name(
            default_name(self.run_identifier) if name is None else name
        )

    @classmethod
    def from_json(cls, name: str, spec: Mapping[str, Any]) -> Experiment:
        """Makes an experiment from a dict.

        Args:
            name: Name of the experiment.
            spec: Arguments of the constructor, and ``run``; ``env`` goes into the config.

        Raises:
            TuneError: if ``run`` is missing, a key is not known, or a value makes no sense.
        """
        arguments = dict(spec)
        if "run" not in arguments:
            raise TuneError(f"The experiment {name!r} needs a 'run' entry: the trainable.")
        known = {"run", "env", *cls.__init__.__annotations__} - {"return", "name"}
        for key in arguments:
            if key not in known:
                guess = near_miss(key, known)
                hint = f" Did you mean {guess!r}?" if guess else ""
                raise TuneError(
                    f"The experiment {name!r} has an entry that is not known: {key!r}.{hint}"
                )
        if "env" in arguments:
            arguments["config"] = {**arguments.get("config", {}), "env": arguments.pop("env")}
        run = arguments.pop("run")
        try:
            return cls(name, run, **arguments)
        except (TypeError, ValueError) as error:
            raise TuneError(f"The experiment {name!r} cannot be run: {error}") from error

    @property
    def trainable(self) -> type[Trainable]:
        """The trainable class."""
        return get_trainable_cls(self.run_identifier)

    @property
    def path(self) -> str:
        """Directory of the experiment."""
        return os.path.join(self.storage_path, self.name)

    local_path = path

    @property
    def remote(self) -> RemoteStore | None:
        """The experiment's place in its remote storage, None without one."""
        return self._remote.child(self.name) if self._remote is not None else None

    @property
    def remote_path(self) -> str:
        """URI of the experiment's place in its remote storage; without one, its directory."""
        remote = self.remote
        return remote.uri if remote is not None else self.path

    def check_storage(self) -> None:
        """Finds out whether the experiment's directory could be written; writes nothing.

        Raises:
            StorageError: if it could not, or if the remote storage cannot be reached.
        """
        check_experiment_dir(self.path)
        remote = self.remote
        if remote is not None:
            with_retries(lambda: remote_version(remote), remote)

    def attach(self) -> None:
        """Brings what the remote storage has of the experiment, if it has one, to its directory.

        Raises:
            StorageError: if the remote storage cannot be reached.
        """
        if self.remote is not None:
            attach(self.remote, self.path)

    @property
    def spec(self) -> dict[str, Any]:
        """The experiment as a dict."""
        return {
            "run": self.run_identifier,
            "stop": self.stopping_criterion,
            "time_budget_s": self.time_budget_s,
            "config": self.config,
            "resources_per_trial": self.resources_per_trial,
            "num_samples": self.num_samples,
            "checkpoint_config": self.checkpoint_config,
            "export_formats": self.export_formats,
            "max_failures": self.max_failures,
            "restore": self.restore,
        }

    @property
    def public_spec(self) -> dict[str, Any]:
        """The part of the spec that searchers and schedulers are told."""
        return {
            "stop": self.stopping_criterion,
            "num_samples": self.num_samples,
            "time_budget_s": self.time_budget_s,
        }


def register(run: Any) -> str:
    """Registers a trainable under its own name, unless it is a registered name already.

    Raises:
        TuneError: if it is neither a function, nor a Trainable class, nor a registered name.
    """
    if isinstance(run, str):
        get_trainable_cls(run)
        return run
    name = trainable_name(run)
    register_trainable(name, run)
    return name


def _check_names(space: dict[str, Any]) -> None:
    for name in space:
        if not isinstance(name, str):
            raise ValueError(
                f"The names of parameters must be texts, but the search space has {name!r}. "
                f"Name it {str(name)!r}; dicts inside may have other keys."
            )


def default_name(run_identifier: str) -> str:
    """``<trainable>_<date>_<random ending>``; the trainable alone if the environment says so.

    No directory is made for the name: its ending is what keeps it from being given twice.
    """
    name = run_identifier.replace("/", "_")
    if os.environ.get("TUNE_DISABLE_DATED_SUBDIR") == "1":
        return name
    return f"{name}_{date_str()}_{os.urandom(4).hex()}"


def check_num_samples(num_samples: Any) -> int:
    """Returns ``num_samples`` if it is a number of samples.

    Raises:
        ValueError: if it is not.
    """
    if (
        not isinstance(num_samples, int)
        or isinstance(num_samples, bool)
        or (num_samples < 1 and num_samples != -1)
    ):
        raise ValueError(f"num_samples must be -1 (no end) or at least 1, but got {num_samples!r}.")
    return num_samples


def check_time_budget(budget: float | datetime.timedelta | None) -> float | None:
    """The budget in seconds, None for no budget.

    Raises:
        ValueError: if it is negative or no duration.
    """
    if isinstance(budget, datetime.timedelta):
        budget = budget.total_seconds()
    if budget is None:
        return None
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not budget >= 0:
        raise ValueError(
            f"time_budget_s must be a number of seconds or a timedelta, not negative, but got "
            f"{budget!r}."
        )
    return float(budget) or None


def check_checkpoint_config(
    config: CheckpointConfig, trainable: type[Trainable]
) -> CheckpointConfig:
    """Returns the config if the trainable can do what it asks.

    Raises:
        ValueError: if a function is asked for checkpoints that only its own reports can make, or
            a class cannot save.
    """
    asks = bool(config.checkpoint_frequency) or bool(config.checkpoint_at_end)
    if not asks:
        return config
    if is_function_trainable(trainable):
        raise ValueError(
            "checkpoint_frequency and checkpoint_at_end work with Trainable classes only. In a "
            "function, pass a checkpoint with the result: report(metrics, checkpoint=...)."
        )
    if not can_save(trainable):
        raise ValueError(
            f"checkpoint_frequency or checkpoint_at_end is set, but {trainable.__name__} cannot "
            "save: implement save_checkpoint and load_checkpoint."
        )
    return config


def can_save(trainable: type[Trainable]) -> bool:
    """Whether a class implements ``save_checkpoint``."""
    from localtune.trainable.trainable import Trainable

    return trainable.save_checkpoint is not Trainable.save_checkpoint


def log_files(log_to_file: Any) -> tuple[str | None, str | None]:
    """(stdout file, stderr file) that ``log_to_file`` means.

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


def formats_of(export_formats: Any, trainable: type[Trainable]) -> list[str]:
    """The formats to export, as a list.

    Raises:
        ValueError: if they are not names.
        TuneError: for a format that does not exist, if the trainable has none of its own.
    """
    formats = [export_formats] if isinstance(export_formats, str) else list(export_formats or [])
    if not all(isinstance(each, str) and each for each in formats):
        raise ValueError(f"export_formats must be a list of names, but got {export_formats!r}.")
    if trainable._export_model is Trainable._export_model:
        ExportFormat.validate(formats)
    return formats


def check_restore_path(path: str | os.PathLike[str] | None) -> str | None:
    """The absolute path of a checkpoint to start from.

    Raises:
        ValueError: if it does not exist.
    """
    if path is None:
        return None
    if is_uri(os.fspath(path)):
        with Checkpoint(path).as_directory() as directory:
            return directory
    text = os.path.abspath(local_path(path))
    if not os.path.isdir(text):
        raise ValueError(f"restore must be the directory of a checkpoint, but {text!r} is none.")
    return text
