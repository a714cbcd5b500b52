"""Background: makes the calls to a slow store in a thread, one after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from localtune.utils.messages import get_logger

logger = get_logger(__name__)

# When this many calls wait, a slow store slows the sweep down instead of filling the memory.
_MAX_WAITING = 10_000


class Background:
    """Makes calls in the order of their submission, in a thread of its own.

    An exception of a call is logged, and the next calls are still made, so that an unreachable
    store does not end a sweep.

    Args:
        name: Name of the store, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(_MAX_WAITING)
        self._n_failed = 0
        # A daemon thread, so that a store that never answers does not keep the interpreter alive.
        self._thread = threading.Thread(target=self._work, name=f"localtune-{name}", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], None]) -> None:
        """Adds a call, which is made after the earlier ones."""
        self._calls.put(call)

    def close(self, timeout_s: float) -> bool:
        """Waits for all calls, and ends the thread.

        Args:
            timeout_s: Longest time to wait, in seconds.

        Returns:
            Whether all calls were made.
        """
        try:
            self._calls.put(None, timeout=timeout_s)
        except queue.Full:
            pass
        else:
            self._thread.join(timeout_s)
        is_done = not self._thread.is_alive()
        if not is_done:
            logger.warning(
                "%s did not accept all results within %g s. The run does not wait for the rest.",
                self._name,
                timeout_s,
            )
        if self._n_failed > 1:
            logger.warning("%d calls of %s failed.", self._n_failed, self._name)
        return is_done

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                self._n_failed += 1
                if self._n_failed == 1:
                    logger.warning(
                        "%s did not accept a result, and the run goes on without it. "
                        "Further failures are only counted: %s: %s",
                        self._name,
                        type(error).__name__,
                        error,
                        exc_info=error,
                    )
