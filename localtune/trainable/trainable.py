"""Base class of everything that a trial can train.

    setup(config) -> [restore] -> ( train() -> [save()] )* -> [export_model()] -> stop()
                                    |
                                    +-- _begin_iteration, step, _complete_iteration

With actor reuse, reset(new_config) stands in the place of stop() and setup().
"""

from __future__ import annotations

import copy
import os
import time
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.result import (
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
from localtune.trainable.autofill import DATE_FORMAT, LOCAL_IP, date_of, hostname
from localtune.trainable.saving import CheckpointSource, read_state, save_state, split_source
from localtune.trial.plain_data import clean_metrics
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from localtune.resources import PlacementGroupFactory
    from localtune.trial.trial_info import StorageContext, TrialInfo
    from localtune.utils.util_monitor import UtilMonitor

_DEFAULT_NAME = "default"
_SLOW_SETUP_S = 10.0


class Trainable:
    """Base class for a training that runs in iterations.

    Override :meth:`setup`, :meth:`step`, :meth:`save_checkpoint` and :meth:`load_checkpoint`,
    and :meth:`cleanup` or :meth:`reset_config` where needed. Methods are called in the worker
    process of the trial, in its main thread, one at a time. A subclass that overrides
    ``__init__`` calls it with the same arguments.

    Args:
        config: Hyperparameters. Kept as it is, not copied.
        logger_creator: Called with the config; returns an object with ``logdir``, ``on_result``,
            ``flush`` and ``close`` that gets each result.
        storage: Where checkpoints go. Without it, and without ``logger_creator``, the trainable
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

    _timesteps_total: float | None
    _episodes_total: float | None
    _last_result: dict[str, Any] | None

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        logger_creator: Callable[[dict[str, Any]], Any] | None = None,
        storage: StorageContext | None = None,
    ) -> None:
        self._trial_info: TrialInfo | None = None
        self._monitor: UtilMonitor | None = None
        self._adopt_config({} if config is None else config)
        self._open_outputs(logger_creator, storage)
        self._pid = os.getpid()
        self._reset_counters()
        self._set_up()
        self._monitor = self._start_monitor()

    # What a subclass overrides.

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare the training; called once for each construction.

        Args:
            config: Deep copy of the hyperparameters.
        """

    def step(self) -> dict[str, Any]:
        """Run one iteration.

        Returns:
            The metrics of the iteration. Keys with a meaning: ``done`` (ends the trial),
            ``should_checkpoint`` (asks for a checkpoint), ``timesteps_this_iter``,
            ``episodes_this_iter``, ``time_this_iter_s``.
        """
        raise NotImplementedError(f"{type(self).__name__} must override step().")

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        """Save the state of the training.

        Args:
            checkpoint_dir: Empty directory. It is moved to its final place after the call: do
                not keep the path.

        Returns:
            A dict with the state, or None or ``checkpoint_dir`` if the state was written into
            that directory.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override save_checkpoint() to be checkpointed or paused."
        )

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Take over a saved state.

        Args:
            checkpoint: The dict that :meth:`save_checkpoint` returned, or else the path of the
                directory that it wrote into; that is the checkpoint itself, to be read only.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override load_checkpoint() to be restored."
        )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over another trial's hyperparameters in place of a new construction.

        Args:
            new_config: The other trial's hyperparameters.

        Returns:
            Whether this trainable may serve the other trial. False by default.
        """
        return False

    def cleanup(self) -> None:
        """Release what :meth:`setup` took; called by :meth:`stop`."""

    def log_result(self, result: dict[str, Any]) -> None:
        """Take note of a complete result, before :meth:`train` returns it.

        An override calls this one.

        Args:
            result: Metrics together with what was filled in automatically.
        """
        if self._logger is not None:
            self._logger.on_result(result)

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        """Write the model.

        Args:
            export_formats: Formats asked for.
            export_dir: Directory to write into.

        Returns:
            Path by format.
        """
        return {}

    @classmethod
    def default_resource_request(
        cls, config: dict[str, Any]
    ) -> PlacementGroupFactory | dict[str, Any] | None:
        """What a trial with a config needs.

        Args:
            config: Resolved hyperparameters of the trial.

        Returns:
            The request, or None to leave it to the caller.
        """
        return None

    @classmethod
    def resource_help(cls, config: dict[str, Any]) -> str:
        """Advice for the case that a trial's resources cannot be had.

        Args:
            config: Resolved hyperparameters of the trial.

        Returns:
            The advice, or an empty text.
        """
        return ""

    # What is called from outside.

    def train(self) -> dict[str, Any]:
        """Run one iteration.

        Returns:
            The metrics with what is filled in automatically, or, for a function that returned,
            a dict with the key ``__duplicate__``.

        Raises:
            AssertionError: :meth:`step` did not return a dict.
            ValueError: The metrics hold what a result may not hold.
            Exception: What :meth:`step` raised.
        """
        self._begin_iteration()
        return self._complete_iteration(self.step())

    def train_buffered(
        self, buffer_time_s: float, max_buffer_length: int = 1000
    ) -> list[dict[str, Any]]:
        """Run iterations until one needs attention.

        Args:
            buffer_time_s: Seconds after which no further iteration begins.
            max_buffer_length: Largest number of iterations.

        Returns:
            The results, at least one. The last one is the first that is done, asks for a
            checkpoint or says that the function returned, if any does.
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
        """Save the state of the training.

        Args:
            checkpoint_dir: Directory for the state, made if missing; it stays. None for one
                that is made.

        Returns:
            The checkpoint and the latest metrics. In a trial, the checkpoint lies in the trial's
            directory; without storage it is ``checkpoint_dir`` or a temporary directory, which
            is the caller's to remove.

        Raises:
            NotImplementedError: :meth:`save_checkpoint` is not overridden.
            ValueError: :meth:`save_checkpoint` returned another path than it got.
            StorageError: The trial's directory is gone.
        """
        checkpoint = save_state(self.save_checkpoint, self._storage, checkpoint_dir)
        return TrainingResult(checkpoint, dict(self._last_result or {}))

    def restore(self, checkpoint_path: CheckpointSource) -> None:
        """Take over a saved state; iterations and times go on from there.

        Args:
            checkpoint_path: What :meth:`save` returned, a checkpoint, or the path of one. The
                latter two know no metrics: the count of iterations starts at 0.

        Raises:
            ValueError: There is no such directory, or no checkpoint in the training result.
            UntrustedDirectoryError: Another user could have written the checkpoint.
            AssertionError: It is something else. In all these cases nothing has changed.
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
        """Serve another trial from here on.

        Args:
            new_config: Hyperparameters of the other trial. Kept as it is, not copied.
            logger_creator: As for the constructor.
            storage: As for the constructor.

        Returns:
            What :meth:`reset_config` returned. After False the trainable is of no further use.
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
        """End the training and release everything.

        Raises:
            Exception: What :meth:`cleanup` raised.
        """
        self._close_logger()
        self._stop_monitor()
        self.cleanup()

    def export_model(
        self, export_formats: str | list[str], export_dir: str | None = None
    ) -> dict[str, str]:
        """Write the model.

        Args:
            export_formats: One format or several.
            export_dir: Directory to write into; None for :attr:`logdir`.

        Returns:
            Path by format.
        """
        formats = [export_formats] if isinstance(export_formats, str) else export_formats
        return self._export_model(formats, export_dir or self.logdir)

    def get_config(self) -> dict[str, Any]:
        """The hyperparameters; not a copy."""
        return self.config

    def get_state(self) -> dict[str, Any]:
        """Counters and the latest result."""
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
        """What is filled into each result automatically.

        Args:
            now: Time of the result; None for the current time.
            time_this_iter: Duration of the iteration in seconds.
            timestamp: Seconds since the Unix epoch; None for ``now``.
            debug_metrics_only: Whether to leave out what counts iterations.

        Returns:
            Value by key.
        """
        seconds = int(time.time()) if now is None else int(now.timestamp())
        date = date_of(seconds) if now is None else now.strftime(DATE_FORMAT)
        filled = self._fill(date, timestamp or seconds, time_this_iter)
        if debug_metrics_only:
            return {key: value for key, value in filled.items() if key in DEBUG_METRICS}
        return filled

    def get_current_ip_pid(self) -> tuple[str, int]:
        """Address of the machine, always that of the loopback device, and id of the process."""
        return LOCAL_IP, self._pid

    def is_actor(self) -> bool:
        """Whether this trainable serves a trial, in place of standing alone."""
        return self._storage is not None

    @property
    def logdir(self) -> str:
        """Directory of the trial's files."""
        return self._logdir

    @property
    def trial_name(self) -> str:
        """Name of the trial, ``"default"`` without one."""
        return self._trial_info.trial_name if self._trial_info else _DEFAULT_NAME

    @property
    def trial_id(self) -> str:
        """Id of the trial, ``"default"`` without one."""
        return self._trial_info.trial_id if self._trial_info else _DEFAULT_NAME

    @property
    def trial_seed(self) -> int:
        """Seed of the trial, 0 without one; see ``TuneContext.get_trial_seed``."""
        return self._trial_info.seed if self._trial_info else 0

    @property
    def trial_resources(self) -> PlacementGroupFactory | None:
        """Resources of the trial, None without one."""
        return self._trial_info.resources if self._trial_info else None

    @property
    def iteration(self) -> int:
        """Number of finished iterations; 0 in the first :meth:`step`."""
        return self._iteration

    @property
    def training_iteration(self) -> int:
        """Number of finished iterations; 0 in the first :meth:`step`."""
        return self._iteration

    # One iteration, in two halves: a function trainable that runs in the main thread of a worker
    # completes an iteration, and begins the next one, in the middle of the user's function.

    def _begin_iteration(self) -> None:
        """Start the clock of the next iteration."""
        self._iteration_start = time.monotonic()

    def _complete_iteration(self, result: dict[str, Any]) -> dict[str, Any]:
        """Turn what one step returned into the result of an iteration.

        Args:
            result: What :meth:`step` returned; left as it is.

        Returns:
            A new dict, except for the closing reply of a function, which is passed on.
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
        """Checked copy of a result."""
        return clean_metrics(result)

    def _count(self, result: dict[str, Any], time_this_iter_s: float) -> None:
        """Move the counters on, and put those that a user may set into the result."""
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
            NODE_IP: LOCAL_IP,
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
        # Whoever runs the trainable redirects its output.
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
