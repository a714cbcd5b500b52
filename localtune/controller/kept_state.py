"""KeptState: the state of searcher, scheduler, stopper and callbacks, kept for a resumed run."""

from __future__ import annotations

import functools
import io
import pickle
import time
from collections.abc import Iterable, Mapping
from typing import Any

from localtune.callback import CallbackList
from localtune.schedulers.base import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.stopper.base import Stopper
from localtune.trial.trial import Trial
from localtune.utils.messages import get_logger

logger = get_logger(__name__)

# State up to this size is written with each event. Larger state is written so seldom that writing
# takes this share of the time; a crash may then undo the last decisions.
_SMALL_BYTES = 64 * 1024
_WRITING_SHARE = 0.05


class KeptState:
    """Collects the state that is due to be written.

    Args:
        searcher: Its state is written with each trial that is created or has ended.
        scheduler: Its state is written after each event while it is small, and else as often as
            its size allows.
        stopper: Its state is written together with the scheduler's.
        callbacks: Their state is written after each event if they have any.
    """

    def __init__(
        self,
        searcher: SearchAlgorithm,
        scheduler: TrialScheduler,
        stopper: Stopper,
        callbacks: CallbackList,
    ) -> None:
        self._searcher = searcher
        self._scheduler = scheduler
        self._stopper = stopper
        self._callbacks = callbacks
        self._keeps_callbacks = callbacks.has_state
        self._next_writing = 0.0
        self._last: dict[str, bytes] = {}
        self._unkeepable: set[str] = set()

    def due(self, *, trials_changed: bool, force: bool = False) -> dict[str, Any]:
        """Returns {key: value} to write in the same transaction as the trials.

        Args:
            trials_changed: Whether a trial was created or has ended.
            force: Whether to include state that is not due, because the run is over.
        """
        state: dict[str, Any] = {}
        if trials_changed or force:
            state["searcher"] = self._searcher.get_state()
            if self._searcher.archive is not None:
                state.update(self._searcher.archive.unwritten())
        if self._keeps_callbacks:
            state["callbacks"] = self._callbacks.get_state()
        started = time.perf_counter()
        if force or started >= self._next_writing:
            scheduler_state = self._scheduler.get_state()
            if scheduler_state:
                self._add(state, "scheduler", scheduler_state)
            if self._stopper.has_state:
                self._add(state, "stopper", self._stopper)
            ended = time.perf_counter()
            if sum(map(len, self._last.values())) > _SMALL_BYTES:
                self._next_writing = ended + (ended - started) / _WRITING_SHARE
        return state

    def _add(self, state: dict[str, Any], key: str, value: Any) -> None:
        if key in self._unkeepable:
            return
        try:
            data = dump(value)
        except Exception as error:
            self._unkeepable.add(key)
            logger.warning(
                "The state of the %s cannot be kept (%s: %s): if this run is resumed, it starts "
                "afresh. Let it hold only what can be pickled.",
                key,
                type(error).__name__,
                error,
            )
            return
        if data != self._last.get(key):
            self._last[key] = state[key] = data


def dump(value: Any) -> bytes:
    """Returns a pickled value; trials in it are replaced by their ids."""
    file = io.BytesIO()
    _pickler_class()(file, protocol=5).dump(value)
    return file.getvalue()


@functools.cache
def _pickler_class() -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, each: Any) -> str | None:
            return each.trial_id if isinstance(each, Trial) else None

    return Pickler


def load(data: bytes, trials: Iterable[Trial]) -> Any:
    """Loads a value that :func:`dump` has pickled.

    Args:
        data: The pickled value.
        trials: The trials that take the places of the ids.

    Raises:
        Exception: what loading a class of the user raises.
    """
    return _Unpickler(io.BytesIO(data), {trial.trial_id: trial for trial in trials}).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, trials: Mapping[str, Trial]) -> None:
        super().__init__(file)
        self._trials = trials

    def persistent_load(self, trial_id: str) -> Trial:
        return self._trials[trial_id]
