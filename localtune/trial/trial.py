"""Holds the record of one trial: its identity, its files and its progress."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.config.checkpoint import CheckpointConfig
from localtune.old_names.attributes import OldAttribute
from localtune.result import EXPR_ERROR_FILE
from localtune.trial.checkpoint_history import CheckpointHistory, StartPoint, TrackedCheckpoint
from localtune.trial.export_format import ExportFormat as ExportFormat
from localtune.trial.metric_analysis import MetricStats, PackedStats, pack_stats
from localtune.trial.status import Status, check_move
from localtune.trial.task_error import opened_error
from localtune.utils.temporary import is_temporary
from localtune.utils.text import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localtune.checkpoint import Checkpoint
    from localtune.resources import PlacementGroupFactory


class Trial:
    """Represents one configuration and its life.

    It is a record: it does no I/O and calls no other component. The states are attributes, too:
    ``trial.status == Trial.PAUSED``.

    Attributes:
        trial_id: Id, unique within the experiment.
        trainable_name: Name that the trainable is registered under.
        config: Resolved configuration.
        experiment_tag: Number of the trial and its varying parameters, as text.
        experiment_path: Directory of the experiment.
        dirname: Name of the trial's directory within it.
        status: State; see :class:`Status`.
        placement_group_factory: Resources that the trial requests.
        stopping_criterion: {flat metric: bound} of the run.
        max_failures: Number of failures that are retried; negative for no limit.
        num_failures: Number of failures that count against ``max_failures``.
        failed_tries: Number of failures over the whole life of the trial.
        cut_short: State of the trial when the run ended. Such a trial is TERMINATED, and continues
            when the run is resumed. None if the trial ended by itself.
        kept_error: The error with the cause still pickled; ``error`` loads it.
        result_count: Number of results in the trial's history.
        checkpoints: Committed checkpoints.
        start_point: Checkpoint from elsewhere that the trial continues from; None if there never
            was one, or the trial has made a newer one itself.
        seed: Seed for all random numbers in the first try of the trial.
        log_to_file: (stdout file, stderr file); None for a stream that is not redirected.
        start_time: Unix time of the first start; None before.
        run_time_s: Training time so far.
    """

    PENDING = Status.PENDING
    RUNNING = Status.RUNNING
    PAUSED = Status.PAUSED
    TERMINATED = Status.TERMINATED
    ERROR = Status.ERROR
    INTERRUPTED = Status.INTERRUPTED

    # Class attributes, since few trials set them: an instance with more than 28 attributes takes
    # four times the memory.
    kept_error: BaseException | None = None
    _opened_error: BaseException | None = None
    cut_short: Status | None = None

    def __init__(
        self,
        trainable_name: str,
        *,
        trial_id: str,
        config: dict[str, Any] | None = None,
        evaluated_params: dict[str, Any] | None = None,
        experiment_tag: str = "",
        experiment_path: str = "",
        placement_group_factory: PlacementGroupFactory | None = None,
        stopping_criterion: Mapping[str, float] | None = None,
        checkpoint_config: CheckpointConfig | None = None,
        max_failures: int = 0,
        log_to_file: tuple[str | None, str | None] = (None, None),
        start_point: StartPoint | None = None,
        seed: int = 0,
    ) -> None:
        self.trainable_name = trainable_name
        self.trial_id = trial_id
        self.config: dict[str, Any] = config if config is not None else {}
        self._evaluated_params: dict[str, Any] | _Packed = evaluated_params or {}
        self.experiment_tag = experiment_tag
        self.experiment_path = experiment_path
        self.dirname = ""
        self.custom_trial_name: str | None = None
        self.status = Status.PENDING
        self.placement_group_factory = placement_group_factory
        self.stopping_criterion: dict[str, float] = dict(stopping_criterion or {})
        self.max_failures = max_failures
        self.num_failures = 0
        self.failed_tries = 0
        self._last_result: dict[str, Any] | _Packed = {}
        self._metric_stats: dict[str, MetricStats] | PackedStats = {}
        self.checkpoint_config = checkpoint_config or CheckpointConfig()
        self.checkpoints = CheckpointHistory(self.checkpoint_config)
        self.next_checkpoint_index = 0
        self.start_point = start_point
        self.result_count = 0
        self.seed = seed
        # Counts changes to facts that rarely change. The record is written again after each.
        self.revision = 0
        self._own_files: dict[str, str] | _Packed = {}
        self.log_to_file = log_to_file
        self.start_time: float | None = None
        self.run_time_s = 0.0

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes the state of a pickle, also of one from before parameters were packed."""
        if "evaluated_params" in state:
            state["_evaluated_params"] = state.pop("evaluated_params")
        self.__dict__.update(state)

    # -- names and places -------------------------------------------------------------------

    @property
    def default_name(self) -> str:
        """The name ``<trainable>[_<env>]_<trial id>``."""
        parts = [self.trainable_name]
        env = self.config.get("env")
        if env is not None:
            parts.append(_name_of_env(env))
        parts.append(self.trial_id)
        return "_".join(parts).replace("/", "_")

    def __str__(self) -> str:
        return self.custom_trial_name or self.default_name

    def __repr__(self) -> str:
        return f"<Trial {self} {self.status}>"

    @property
    def path(self) -> str:
        """Directory of the trial: its working directory, which also holds its files."""
        # os.path.join() is slower, and this runs several times per result.
        return f"{self.experiment_path}{os.sep}{self.dirname}"

    local_path = path
    logdir = OldAttribute("Trial.logdir")
    local_dir = OldAttribute("Trial.local_dir")

    @property
    def local_experiment_path(self) -> str:
        """Directory of the experiment."""
        return self.experiment_path

    remote_experiment_path = local_experiment_path

    @property
    def experiment_dir_name(self) -> str:
        """Name of the experiment's directory."""
        return os.path.basename(self.experiment_path)

    @property
    def relative_logdir(self) -> str:
        """Name of the trial's directory within the experiment's."""
        return self.dirname

    @property
    def error_file(self) -> str | None:
        """Path of the file with the tracebacks; None if there is none to read after the run."""
        is_kept = self.num_failures and not is_temporary(self.path)
        return os.path.join(self.path, EXPR_ERROR_FILE) if is_kept else None

    # -- changes by a scheduler ---------------------------------------------------------------

    def set_config(self, config: dict[str, Any]) -> None:
        """Sets the config for the next start of a trial that is not running."""
        self.config = config
        self.revision += 1

    def set_experiment_tag(self, experiment_tag: str) -> None:
        """Sets the text that distinguishes the trial from others."""
        self.experiment_tag = experiment_tag
        self.revision += 1

    def update_resources(self, resources: dict[str, float] | PlacementGroupFactory) -> None:
        """Sets the resources for the next start.

        Args:
            resources: As ``resources_per_trial``, or a ``PlacementGroupFactory``.

        Raises:
            ValueError: if the trial runs or has ended, or for invalid resources.
        """
        from localtune.resources import resource_dict_to_pg_factory

        if self.status not in (Status.PENDING, Status.PAUSED):
            raise ValueError(
                f"The resources of {self} cannot change while it is {self.status}: pause it first."
            )
        self.placement_group_factory = resource_dict_to_pg_factory(resources)
        self.revision += 1

    # -- state ------------------------------------------------------------------------------

    def set_status(self, status: Status) -> None:
        """Changes the state.

        Raises:
            ValueError: if the move does not exist.
        """
        check_move(self.status, status)
        self.status = status

    def is_finished(self) -> bool:
        """Tells whether the trial has ended, with or without an error."""
        return self.status.is_final

    def close(self) -> None:
        """Packs the data of an ended trial into less memory; no more results may be added."""
        self._last_result = _packed(self._with_shared_values(self.last_result))
        self._evaluated_params = _packed(self.evaluated_params)
        self._own_files = _packed_files(self.own_files)
        if isinstance(self._metric_stats, dict):
            self._metric_stats = pack_stats(self._metric_stats)

    def _with_shared_values(self, result: dict[str, Any]) -> dict[str, Any]:
        """Returns a result without its own copies of texts that the trial, or most trials, have.

        Equal floats are one object, such as the times of the first iteration.
        """
        own: dict[Any, Any] = {
            self.trial_id: self.trial_id,
            self.experiment_tag: self.experiment_tag,
        }
        shared = {}
        for key, value in result.items():
            if type(value) is str:
                value = own.get(value) or sys.intern(value)
            elif type(value) is float and value:  # Zero has two signs.
                value = own.setdefault(value, value)
            shared[key] = value
        return shared

    @property
    def should_retry(self) -> bool:
        """Whether ``max_failures`` allows one more try."""
        return self.max_failures < 0 or self.num_failures <= self.max_failures

    @property
    def error(self) -> BaseException | None:
        """The last failure; None if the trial ended well.

        It is also an instance of the class that user code raised. Reading this property loads the
        class.
        """
        if self._opened_error is None and self.kept_error is not None:
            self._opened_error = opened_error(self.kept_error)
        return self._opened_error

    @error.setter
    def error(self, error: BaseException | None) -> None:
        if error is not self.kept_error:
            self.kept_error = error
            self._opened_error = None

    @property
    def try_seed(self) -> int:
        """Seed for all random numbers in the present try, or in the last one of an ended trial.

        Each failure ends a try, and the next try draws other numbers. So a failure by chance does
        not occur again. A trial that continues after a pause or in a resumed run is still in the
        same try.
        """
        number = self.failed_tries + (self.status is not Status.ERROR)
        return seed_of_try(self.seed, number)

    def get_error(self) -> BaseException | None:
        """Returns the error of a failed trial; None if it ended well or still runs."""
        return self.error if self.status is Status.ERROR else None

    # -- results ----------------------------------------------------------------------------

    @property
    def last_result(self) -> dict[str, Any]:
        """Latest result, nested, including automatic entries; of an ended trial, a copy."""
        result = self._last_result
        return _unpacked(result) if isinstance(result, tuple) else result

    @last_result.setter
    def last_result(self, result: dict[str, Any]) -> None:
        self._last_result = result

    @property
    def evaluated_params(self) -> dict[str, Any]:
        """{flat name: value} of the parameters that were sampled or taken from a grid.

        Of an ended trial, a copy.
        """
        params = self._evaluated_params
        return _unpacked(params) if isinstance(params, tuple) else params

    @evaluated_params.setter
    def evaluated_params(self, params: dict[str, Any]) -> None:
        self._evaluated_params = params

    @property
    def own_files(self) -> dict[str, str]:
        """{name: digest or identity} of files that localtune made in the trial's directory.

        There are digests of files that it wrote, and identities of logs. The dict is replaced, not
        changed.
        """
        files = self._own_files
        return _unpacked_files(files) if isinstance(files, tuple) else files

    @own_files.setter
    def own_files(self, files: dict[str, str]) -> None:
        self._own_files = files

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint: its own, or the one that it was cloned from since."""
        if self.is_cloned:
            assert self.start_point is not None
            return self.start_point.tracked.checkpoint
        latest = self.checkpoints.latest
        return latest.checkpoint if latest is not None else None

    @property
    def is_cloned(self) -> bool:
        """Whether it started from another trial's checkpoint and has made none since."""
        point = self.start_point
        return point is not None and point.owner_id not in (None, self.trial_id)

    @property
    def known_checkpoints(self) -> list[TrackedCheckpoint]:
        """Its existing checkpoints, oldest first, followed by the one that it was cloned from."""
        point = self.start_point
        return [*self.checkpoints.kept, *([point.tracked] if point and self.is_cloned else ())]

    @property
    def resume_point(self) -> StartPoint | None:
        """Point from which the trial starts next; None to start from scratch."""
        if self.start_point is not None:
            return self.start_point
        latest = self.checkpoints.latest
        return StartPoint(latest, self.trial_id) if latest is not None else None

    def has_checkpoint(self) -> bool:
        """Tells whether a checkpoint exists."""
        return self.checkpoint is not None

    @property
    def metric_stats(self) -> dict[str, MetricStats]:
        """The statistics as {flat metric: statistics}."""
        stats = self._metric_stats
        return stats if isinstance(stats, dict) else stats.unpack()

    @metric_stats.setter
    def metric_stats(self, stats: dict[str, MetricStats] | PackedStats) -> None:
        self._metric_stats = stats

    def stats_of(self, metric: str) -> MetricStats | None:
        """Returns the statistics of one metric; None without a value of it.

        Args:
            metric: Flat name of the metric.
        """
        return self._metric_stats.get(metric)

    def last_row(self) -> dict[str, Any]:
        """Returns a copy of the last result, with the config; {} if no result counts."""
        return dict(self.last_result) if self._metric_stats else {}

    @property
    def stored_stats(self) -> dict[str, MetricStats] | PackedStats:
        """The statistics as they are stored: those of an ended trial are packed."""
        return self._metric_stats

    @property
    def metric_analysis(self) -> dict[str, dict[str, float]]:
        """The statistics as {flat metric: {max, min, avg, last, last-5-avg, last-10-avg}}."""
        return {name: stats.as_dict() for name, stats in self.metric_stats.items()}


# The keys of a dict, which other dicts share, and its values.
_Packed: TypeAlias = "tuple[Any, ...]"
_known_keys: dict[tuple[Any, ...], tuple[Any, ...]] = {}
_DIGITS = 64  # of a digest


def _packed(values: dict[str, Any]) -> _Packed:
    """Packs a dict of a trial that has ended into a third of the memory."""
    keys = tuple(values)
    return (_known_keys.setdefault(keys, keys), *values.values())


def _unpacked(packed: _Packed) -> dict[str, Any]:
    return dict(zip(packed[0], packed[1:], strict=True))


def _packed_files(files: dict[str, str]) -> _Packed:
    """Packs a dict of digests in hexadecimal digits into half of the memory of :func:`_packed`."""
    digits = "".join(files.values())
    if files and all(len(each) == _DIGITS for each in files.values()):
        with contextlib.suppress(ValueError):
            digests = bytes.fromhex(digits)
            if digests.hex() == digits:
                names = tuple(files)
                return _known_keys.setdefault(names, names), digests
    return _packed(files)


def _unpacked_files(packed: _Packed) -> dict[str, str]:
    names, *values = packed
    if not values or not isinstance(values[0], bytes):
        return _unpacked(packed)
    digits = values[0].hex()
    starts = range(0, len(digits), _DIGITS)
    return {name: digits[at : at + _DIGITS] for name, at in zip(names, starts, strict=True)}


def _name_of_env(env: Any) -> str:
    """Returns the part of a trial's name for the config's ``env``, which may be any object."""
    if isinstance(env, str):
        return env
    try:
        name = getattr(env, "__name__", None)
    except Exception:
        name = None
    return name if isinstance(name, str) else text_of(env)


def seed_of_try(seed: int, number: int) -> int:
    """Returns the seed of one try of a trial.

    Args:
        seed: Seed of the trial.
        number: Number of the try, from 1.

    Returns:
        The trial's seed for the first try; otherwise a number from 0 to 2**32 - 1 that depends on
        both arguments.
    """
    if number <= 1:
        return seed
    from localtune.utils.digests import sha256

    return int.from_bytes(sha256(f"{seed}/try {number}".encode()).digest()[:4], "little")
