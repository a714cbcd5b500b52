"""BackgroundSearch: runs a search algorithm in a thread of its own.

A model may take a second for a suggestion. The loop does not wait for it: results come in, trials
start and end meanwhile::

      loop's thread                              searcher's thread
      next_suggestion() -- "suggest" ----------> next_suggestion()
        None, is_thinking                          ... thinks ...
      on_trial_result() -- told in between ----> (after it) on_trial_result()
      <------------------- wake() ------------- the suggestion, and the state with it
      next_suggestion(): the suggestion

One thread calls the algorithm, in the order of the loop's calls.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from localtune.search.search_algorithm import SearchAlgorithm, searcher_name
from localtune.search.suggestion import Suggestion
from localtune.utils.messages import get_logger

logger = get_logger(__name__)

# A suggestion that takes longer should be there before it is needed.
_SLOW_S = 0.02

# How long the end of a run waits for a suggestion that is not needed any more.
_CLOSE_TIMEOUT_S = 10.0

# (trial id, result, whether it failed; None if the trial goes on)
_Told: TypeAlias = "tuple[str, dict[str, Any] | None, bool | None]"


class BackgroundSearch(SearchAlgorithm):
    """Runs a search algorithm in a thread.

    Args:
        inner: The algorithm, set up already.
        wake: Called by the thread when a suggestion is ready.

    Call :meth:`close` at the end.
    """

    learns = True

    def __init__(self, inner: SearchAlgorithm, wake: Callable[[], None]) -> None:
        self._inner = inner
        self._metric, self._mode = inner.metric, inner.mode
        self._wake = wake
        self._lock = threading.Lock()  # guards the attributes below
        self._suggestion: Suggestion | None = None
        self._is_thinking = False
        self._said_none = False  # it had no suggestion; next_suggestion() has not returned that yet
        self._is_finished = inner.is_finished()
        self._error: BaseException | None = None
        self._state = inner.get_state()
        self._told: list[_Told] = []  # what _state does not include yet
        self._told_count = 0  # how many of these the algorithm has got
        self._duration_s = 0.0  # of the last suggestion
        self._work: queue.SimpleQueue[_Told | bool | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        raise RuntimeError("A search algorithm is set up before it goes to the background.")

    @property
    def inner(self) -> SearchAlgorithm:
        """The algorithm itself."""
        return self._inner

    @property
    def archive(self) -> Any:  # type: ignore[override]
        # It is set before the algorithm goes to the background.
        return self._inner.archive

    @property
    def searcher(self) -> Any:
        """The searcher of the algorithm, for schedulers that call it."""
        return getattr(self._inner, "searcher", self._inner)

    @property
    def total_samples(self) -> int | None:
        return self._inner.total_samples

    @property
    def is_thinking(self) -> bool:
        return self._is_thinking

    @property
    def is_slow(self) -> bool:
        return self._duration_s > _SLOW_S

    def next_suggestion(self) -> Suggestion | None:
        with self._lock:
            if self._error is not None:
                raise self._error
            suggestion, self._suggestion = self._suggestion, None
            said_none, self._said_none = self._said_none, False
            is_idle = not (self._is_thinking or self._is_finished or said_none)
            if suggestion is None and is_idle:
                self._is_thinking = True
                self._put(True)
            return suggestion

    def is_finished(self) -> bool:
        with self._lock:
            return self._is_finished and self._suggestion is None and self._error is None

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self._tell((trial_id, dict(result), None))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        self._tell((trial_id, None if result is None else dict(result), error))

    def get_state(self) -> dict[str, Any]:
        with self._lock:
            return {
                "inner": self._state,
                "told": list(self._told),
                "suggestion": self._suggestion,
            }

    def set_state(self, state: dict[str, Any]) -> None:
        self._inner.set_state(state["inner"])
        self._state = state["inner"]
        self._suggestion = state["suggestion"]
        self._is_finished = self._inner.is_finished()
        for told in state["told"]:
            self._tell(told)

    def close(self) -> None:
        """Ends the thread; waits some seconds for a suggestion that is being computed."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join(_CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                logger.warning(
                    "The searcher %s has not come back for %g s after the end of the run, and is "
                    "left alone.",
                    searcher_name(self),
                    _CLOSE_TIMEOUT_S,
                )
            self._thread = None

    def _put(self, work: _Told | bool) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="localtune-searcher", daemon=True
            )
            self._thread.start()
        self._work.put(work)

    def _tell(self, told: _Told) -> None:
        with self._lock:
            if self._error is not None:
                raise self._error
            self._told.append(told)
        self._put(told)

    # -- in the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self._error is not None:
                continue
            try:
                if isinstance(work, bool):
                    self._suggest()
                else:
                    _tell(self._inner, work)
                    self._told_count += 1
            except BaseException as error:  # the loop's thread raises it
                with self._lock:
                    self._error = error
                    self._is_thinking = False
                self._wake()

    def _suggest(self) -> None:
        started = time.monotonic()
        suggestion = self._inner.next_suggestion()
        state = self._inner.get_state()
        with self._lock:
            self._duration_s = time.monotonic() - started
            self._suggestion = suggestion
            self._is_thinking = False
            self._said_none = suggestion is None
            self._is_finished = self._inner.is_finished()
            self._state = state
            del self._told[: self._told_count]
            self._told_count = 0
        self._wake()


def _tell(algorithm: SearchAlgorithm, told: _Told) -> None:
    """Passes a record on to an algorithm."""
    trial_id, result, error = told
    if error is None:
        algorithm.on_trial_result(trial_id, result or {})
    else:
        algorithm.on_trial_complete(trial_id, result=result, error=error)
