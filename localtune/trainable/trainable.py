"""Defines the base class of all trainables.

    setup(config) -> [restore] -> ( train() -> [save()] )* -> [export_model()] -> stop()
                                    |
                                    +-- _begin_iteration, step, _complete_iteration

With actor reuse, reset(new_config) replaces stop() and setup().
"""

from __future__ import annotations

import copy
import os
import time
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.old_names.trainables import adapt_class, refuse_old_class
from localtune.result import (
    DATE_FORMAT,
    DEBUG_METRICS,
    DONE,
    EPISODES_THIS_ITER,
    EPISODES_TOTAL,
    HOSTNAME,
    NODE_IP,
    PID,
    RESULT_DUPLICATE,
    SHOULD_CHECKPOINT,
    STDERR_FILE,
    STDOUT_FILE,
    TIME_THIS_ITER_S,
    TIME_TOTAL_S,
    TIMESTAMP,
    TIMESTEPS_THIS_ITER,
    TIMESTEPS_TOTAL,
    TRAINING_ITERATION,
    TRIAL_ID,
    TRIAL_INFO,
)
from localtune.trainable.autofill import date_of, hostname, node_ip
from localtune.trainable.saving import CheckpointSource, read_state, save_state, split_source
from localtune.trial.plain_data import clean_metrics
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.space_parameters import SpaceParameter
    from localtune.trial.trial_info import StorageContext, TrialInfo
    from localtune.utils.util_monitor import UtilMonitor

_DEFAULT_NAME = "default"
_SLOW_SETUP_S = 10.0


class Trainable:
    """Trains a model in iterations; subclasses define the training.

    Override :meth:`setup`, :meth:`step`, :meth:`save_checkpoint` and :meth:`load_checkpoint`, and
    :meth:`cleanup` or :meth:`reset_config` where needed. The worker process of the trial calls
    these
    methods in its main thread, one at a time. A subclass that overrides ``__init__`` must call it
    with the same arguments.

    Args:
        config: Hyperparameters; not copied.
        logger_creator: Called with the config; returns an object with ``logdir``, ``on_result``,
            ``flush`` and ``close`` that gets each result.
        storage: Place for checkpoints. Without it, and without ``logger_creator``, the trainable
            stands alone: it writes its results to a new directory below ``~/localtune_results``.

    Example:
        >>> class Counter(Trainable):
        ...     def setup(self, config):
        ...         self.count = config["start"]
        ...     def step(self):
        ...         self.count += 1
        ...         return {"count": self.count}
        ...     def save_checkpoint(self, checkpoint_dir):
        ...         return {"count": self.count}
        ...     def load_checkpoint(self, checkpoint):
        ...         self.count = checkpoint["count"]
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adapt_class(cls, Trainable)

    _timesteps_total: float | None
    _episodes_total: float | None
    _last_result: dict[str, Any] | None

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        logger_creator: Callable[[dict[str, Any]], Any] | None = None,
        storage: StorageContext | None = None,
    ) -> None:
        refuse_old_class(type(self), Trainable)
        self._trial_info: TrialInfo | None = None
        self._monitor: UtilMonitor | None = None
        self._adopt_config({} if config is None else config)
        self._open_outputs(logger_creator, storage)
        self._pid = os.getpid()
        self._node_ip = node_ip()
        self._reset_counters()
        self._set_up()
        self._monitor = self._start_monitor()

    # Methods to override.

    def setup(self, config: dict[str, Any]) -> None:
        """Prepares the training. The constructor calls it once.

        Args:
            config: Deep copy of the hyperparameters.
        """

    def step(self) -> dict[str, Any]:
        """Runs one iteration.

        Returns:
            The metrics of the iteration. These keys have a meaning: ``done`` (ends the trial),
            ``should_checkpoint`` (requests a checkpoint), ``timesteps_this_iter``,
            ``episodes_this_iter``, ``time_this_iter_s``.
        """
        raise NotImplementedError(f"{type(self).__name__} must override step().")

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        """Saves the state of the training.

        Args:
            checkpoint_dir: Empty directory. It is moved after the call, so do not keep the path.

        Returns:
            A dict with the state; or None or ``checkpoint_dir`` if the state was written into that
            directory.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override save_checkpoint() to be checkpointed or paused."
        )

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Loads a saved state.

        Args:
            checkpoint: The dict that :meth:`save_checkpoint` returned, or else the path of the
                directory that it wrote into. This directory is the checkpoint itself: do not change
                it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override load_checkpoint() to be restored."
        )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Replaces the hyperparameters by those of another trial, in place of a new construction.

        Args:
            new_config: The other trial's hyperparameters.

        Returns:
            Whether this trainable can serve the other trial. False by default.
        """
        return False

    def cleanup(self) -> None:
        """Releases the resources of :meth:`setup`; called by :meth:`stop`."""

    def log_result(self, result: dict[str, Any]) -> None:
        """Logs a complete result before :meth:`train` returns it.

        An override must call this method.

        Args:
            result: Metrics together with the automatic entries.
        """
        if self._logger is not None:
            self._logger.on_result(result)

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        """Writes the model.

        Args:
            export_formats: Requested formats.
            export_dir: Directory to write into.

        Returns:
            {format: path}.
        """
        return {}

    @classmethod
    def default_resource_request(
        cls, config: dict[str, Any]
    ) -> PlacementGroupFactory | dict[str, Any] | None:
        """Returns the resources that a trial with a config needs.

        Args:
            config: Resolved hyperparameters of the trial.

        Returns:
            The request; None leaves it to the caller.
        """
        return None

    @classmethod
    def resource_help(cls, config: dict[str, Any]) -> str:
        """Returns advice for a trial whose resources are not available.

        Args:
            config: Resolved hyperparameters of the trial.

        Returns:
            The advice, or an empty text.
        """
        return ""

    @classmethod
    def _check_run(
        cls, parameters: Sequence[SpaceParameter], metric: str | None, *, is_complete: bool
    ) -> None:
        """Checks what a run will ask of the trainable, before the run is started.

        Args:
            parameters: Parameters that configurations can have.
            metric: Flat name of the metric that the run optimises; None if it has none.
            is_complete: Whether ``parameters`` has all of them; False if a search algorithm has a
                space of its own.

        Raises:
            ValueError: if the trainable cannot do it.
        """

    @classmethod
    def _for_metric(cls, metric: str | None) -> type[Trainable]:
        """Returns the class for a run that optimises a metric.

        Args:
            metric: Flat name of the metric; None if the run has none.
        """
        return cls

    # Methods for callers.

    def train(self) -> dict[str, Any]:
        """Runs one iteration.

        Returns:
            The metrics with the automatic entries. For a function that has returned, a dict with
            the key ``__duplicate__``.

        Raises:
            AssertionError: if :meth:`step` does not return a dict.
            ValueError: if the metrics contain a value that results must not contain.
            Exception: any error of :meth:`step`.
        """
        self._begin_iteration()
        return self._complete_iteration(self.step())

    def train_buffered(
        self, buffer_time_s: float, max_buffer_length: int = 1000
    ) -> list[dict[str, Any]]:
        """Runs iterations until a result needs attention or the time is over.

        Args:
            buffer_time_s: Seconds after which no further iteration starts.
            max_buffer_length: Largest number of iterations.

        Returns:
            The results, at least one. They end with the first one that is done, requests a
            checkpoint or reports that the function has returned.
        """
        end = time.monotonic() + buffer_time_s
        results: list[dict[str, Any]] = []
        while True:
            result = self.train()
            results.append(result)
            if (
                any(result.get(key) for key in (DONE, SHOULD_CHECKPOINT, RESULT_DUPLICATE))
                or len(results) >= max_buffer_length
                or time.monotonic() >= end
            ):
                return results

    def save(self, checkpoint_dir: str | os.PathLike[str] | None = None) -> TrainingResult:
        """Saves the state of the training.

        Args:
            checkpoint_dir: Directory for the state; made if missing, and never removed. None for a
                new one.

        Returns:
            The checkpoint and the latest metrics. In a trial, the checkpoint is in the trial's
            directory. Without storage it is ``checkpoint_dir`` or a temporary directory, which the
            caller must remove.

        Raises:
            NotImplementedError: if :meth:`save_checkpoint` is not overridden.
            ValueError: if :meth:`save_checkpoint` returns another path than it got.
            StorageError: if the trial's directory does not exist.
        """
        checkpoint = save_state(self.save_checkpoint, self._storage, checkpoint_dir)
        return TrainingResult(checkpoint, dict(self._last_result or {}))

    def restore(self, checkpoint_path: CheckpointSource) -> None:
        """Loads a saved state; iterations and times continue from there.

        Args:
            checkpoint_path: The result of :meth:`save`, a checkpoint, or the path of one. The
                latter two contain no metrics, so iterations count from 0.

        Raises:
            ValueError: if the directory does not exist, or the training result has no checkpoint.
            UntrustedDirectoryError: if another user could have written the checkpoint.
            AssertionError: for an argument of another type. All these errors leave the trainable as
                it was.
        """
        checkpoint, metrics = split_source(checkpoint_path)
        if checkpoint is None:
            raise ValueError("The training result to restore has no checkpoint.")
        if not os.path.isdir(checkpoint.path):
            raise ValueError(
                f"There is no checkpoint to restore at {checkpoint.path!r}: "
                "the path must be an existing directory."
            )
        self._reset_counters()
        self._iteration = metrics.get(TRAINING_ITERATION) or 0
        self._time_total = metrics.get(TIME_TOTAL_S) or 0.0
        self._timesteps_total = metrics.get(TIMESTEPS_TOTAL)
        self._episodes_total = metrics.get(EPISODES_TOTAL)
        self._last_result = dict(metrics) or None
        self._load(checkpoint)
        self._restored = True

    def reset(
        self,
        new_config: dict[str, Any],
        logger_creator: Callable[[dict[str, Any]], Any] | None = None,
        storage: StorageContext | None = None,
    ) -> bool:
        """Prepares this trainable for another trial.

        Args:
            new_config: Hyperparameters of the other trial; not copied.
            logger_creator: As for the constructor.
            storage: As for the constructor.

        Returns:
            The result of :meth:`reset_config`. After False the trainable must not be used any more.
        """
        self._adopt_config(new_config)
        self._close_logger()
        self._open_outputs(logger_creator, storage)
        if not self.reset_config(new_config):
            return False
        self._reset_counters()
        self._stop_monitor()
        self._monitor = self._start_monitor()
        return True

    def stop(self) -> None:
        """Ends the training and releases all resources.

        Raises:
            Exception: any error of :meth:`cleanup`.
        """
        self._close_logger()
        self._stop_monitor()
        self.cleanup()

    def export_model(
        self, export_formats: str | list[str], export_dir: str | None = None
    ) -> dict[str, str]:
        """Writes the model.

        Args:
            export_formats: One format or several.
            export_dir: Directory to write into; None for :attr:`logdir`.

        Returns:
            {format: path}.
        """
        formats = [export_formats] if isinstance(export_formats, str) else export_formats
        return self._export_model(formats, export_dir or self.logdir)

    def get_config(self) -> dict[str, Any]:
        """Returns the hyperparameters; not a copy."""
        return self.config

    def get_state(self) -> dict[str, Any]:
        """Returns the counters and the latest result."""
        return {
            "iteration": self._iteration,
            TIMESTEPS_TOTAL: self._timesteps_total,
            "time_total": self._time_total,
            EPISODES_TOTAL: self._episodes_total,
            "last_result": self._last_result,
        }

    def get_auto_filled_metrics(
        self,
        now: datetime | None = None,
        time_this_iter: float | None = None,
        timestamp: int | None = None,
        debug_metrics_only: bool = False,
    ) -> dict[str, Any]:
        """Returns the automatic entries of a result.

        Args:
            now: Time of the result; None for the current time.
            time_this_iter: Duration of the iteration in seconds.
            timestamp: Seconds since the Unix epoch; None for ``now``.
            debug_metrics_only: Whether to leave out the entries that count iterations.

        Returns:
            {key: value}.
        """
        seconds = int(time.time()) if now is None else int(now.timestamp())
        date = date_of(seconds) if now is None else now.strftime(DATE_FORMAT)
        filled = self._fill(date, timestamp or seconds, time_this_iter)
        if debug_metrics_only:
            return {key: value for key, value in filled.items() if key in DEBUG_METRICS}
        return filled

    def get_current_ip_pid(self) -> tuple[str, int]:
        """Returns the address of the machine and the id of this process."""
        return self._node_ip, self._pid

    def is_actor(self) -> bool:
        """Tells whether this trainable serves a trial; False if it stands alone."""
        return self._storage is not None

    @property
    def logdir(self) -> str:
        """Directory of the trial's files."""
        return self._logdir

    @property
    def trial_name(self) -> str:
        """Name of the trial; ``"default"`` without one."""
        return self._trial_info.trial_name if self._trial_info else _DEFAULT_NAME

    @property
    def trial_id(self) -> str:
        """Id of the trial; ``"default"`` without one."""
        return self._trial_info.trial_id if self._trial_info else _DEFAULT_NAME

    @property
    def trial_seed(self) -> int:
        """Seed of the trial; 0 without one. See ``TuneContext.get_trial_seed``."""
        return self._trial_info.seed if self._trial_info else 0

    @property
    def trial_resources(self) -> PlacementGroupFactory | None:
        """Resources of the trial; None without one."""
        return self._trial_info.resources if self._trial_info else None

    @property
    def iteration(self) -> int:
        """Number of finished iterations; 0 in the first :meth:`step`."""
        return self._iteration

    @property
    def training_iteration(self) -> int:
        """Number of finished iterations; 0 in the first :meth:`step`."""
        return self._iteration

    # The two halves of one iteration. A function trainable in the main thread of a worker
    # completes an iteration, and begins the next one, inside a call of the user's function.

    def _begin_iteration(self) -> None:
        """Starts the clock of the next iteration."""
        self._iteration_start = time.monotonic()

    def _complete_iteration(self, result: dict[str, Any]) -> dict[str, Any]:
        """Makes the result of an iteration from the metrics of one step.

        Args:
            result: Return value of :meth:`step`; not changed.

        Returns:
            A new dict. The closing reply of a function is returned as it is.
        """
        elapsed_s = time.monotonic() - self._iteration_start
        if not isinstance(result, dict):
            raise AssertionError(
                f"step() must return a dict of metrics, but returned {type(result).__name__}: "
                f"{result!r}. Return for example {{'loss': loss}}."
            )
        if RESULT_DUPLICATE in result:
            return result
        result = self._clean(result)
        time_this_iter_s = result.get(TIME_THIS_ITER_S)
        if time_this_iter_s is None:
            time_this_iter_s = elapsed_s
        self._count(result, time_this_iter_s)
        now = int(time.time())
        timestamp = result.get(TIMESTAMP) or now
        result.update(self._fill(date_of(now), timestamp, time_this_iter_s))
        if self._monitor is not None:
            perf = self._monitor.get_data()
            if perf:
                result["perf"] = perf
        self.log_result(result)
        self._last_result = result
        return result

    def _clean(self, result: dict[str, Any]) -> dict[str, Any]:
        """Returns a checked copy of a result."""
        return clean_metrics(result)

    def _count(self, result: dict[str, Any], time_this_iter_s: float) -> None:
        """Increases the counters, and adds those that a user may set to the result."""
        self._iteration += 1
        self._iterations_since_restore += 1
        self._time_total += time_this_iter_s
        self._time_since_restore += time_this_iter_s
        if DONE not in result:
            result[DONE] = False
        timesteps = result.get(TIMESTEPS_THIS_ITER)
        if timesteps is not None:
            self._timesteps_total = (self._timesteps_total or 0) + timesteps
            self._timesteps_since_restore += timesteps
        episodes = result.get(EPISODES_THIS_ITER)
        if episodes is not None:
            self._episodes_total = (self._episodes_total or 0) + episodes
        if self._timesteps_total is not None:
            result.setdefault(TIMESTEPS_TOTAL, self._timesteps_total)
        if self._episodes_total is not None:
            result.setdefault(EPISODES_TOTAL, self._episodes_total)
        result.setdefault(TRAINING_ITERATION, self._iteration)

    def _fill(self, date: str, timestamp: int, time_this_iter_s: float | None) -> dict[str, Any]:
        filled = {
            TRIAL_ID: self.trial_id,
            "date": date,
            TIMESTAMP: timestamp,
            TIME_THIS_ITER_S: time_this_iter_s,
            TIME_TOTAL_S: self._time_total,
            PID: self._pid,
            HOSTNAME: hostname(),
            NODE_IP: self._node_ip,
            "config": self.config,
            "time_since_restore": self._time_since_restore,
            "iterations_since_restore": self._iterations_since_restore,
        }
        if self._timesteps_since_restore:
            filled["timesteps_since_restore"] = self._timesteps_since_restore
        return filled

    def _reset_counters(self) -> None:
        self._iteration = 0
        self._time_total = 0.0
        self._timesteps_total = None
        self._episodes_total = None
        self._time_since_restore = 0.0
        self._timesteps_since_restore: float = 0
        self._iterations_since_restore = 0
        self._last_result = None
        self._restored = False
        self._iteration_start = time.monotonic()

    # Config, outputs and checkpoints.

    def _adopt_config(self, config: dict[str, Any]) -> None:
        self.config = config
        self._trial_info = config.pop(TRIAL_INFO, self._trial_info)
        # The caller redirects the output, not the trainable.
        config.pop(STDOUT_FILE, None)
        config.pop(STDERR_FILE, None)

    def _set_up(self) -> None:
        start = time.monotonic()
        try:
            self.setup(copy.deepcopy(self.config))
        except BaseException:
            self._close_logger()
            raise
        _advise_on_slow_setup(time.monotonic() - start)

    def _open_outputs(
        self,
        logger_creator: Callable[[dict[str, Any]], Any] | None,
        storage: StorageContext | None,
    ) -> None:
        self._storage = storage
        self._logger: Any = None
        if storage is not None and logger_creator is None:
            self._logdir = storage.trial_dir
            return
        if logger_creator is None:
            from localtune.trainable.result_files import ResultFiles

            logger_creator = ResultFiles
        self._logger = logger_creator(self.config)
        self._logdir = str(self._logger.logdir)

    def _close_logger(self) -> None:
        if self._logger is not None:
            self._logger.flush()
            self._logger.close()
            self._logger = None

    def _start_monitor(self) -> UtilMonitor | None:
        if not self.config.get("log_sys_usage"):
            return None
        from localtune.utils.util_monitor import UtilMonitor

        return UtilMonitor()

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.stop()
            self._monitor = None

    def _load(self, checkpoint: Checkpoint) -> None:
        self.load_checkpoint(read_state(checkpoint, self._storage))


def _advise_on_slow_setup(duration_s: float) -> None:
    if duration_s <= _SLOW_SETUP_S:
        return
    get_logger(__name__).info(
        "setup() took %.1f s. If it does the same work for each trial, override reset_config() "
        "and set reuse_actors=True, so that workers are reused.",
        duration_s,
    )
