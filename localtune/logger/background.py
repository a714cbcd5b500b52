"""Background: calls of a store that may be slow, made one after another in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from localtune.utils.messages import get_logger

logger = get_logger(__name__)

# A store that is slower than the sweep for long slows it down, rather than fill the memory.
_MAX_WAITING = 10_000


class Background:
    """Makes calls in the order in which they came, in a thread of its own.

    A call that raises is told of in the log, and those after it are still made: a store that
    cannot be reached must not end a sweep.

    Args:
        name: What is written to, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(_MAX_WAITING)
        self._n_failed = 0
        # A store that never answers must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._work, name=f"localtune-{name}", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], None]) -> None:
        """Has a call made when those before it are done."""
        self._calls.put(call)

    def close(self, timeout_s: float) -> bool:
        """Waits for all calls, and ends the thread.

        Args:
            timeout_s: How long to wait, in seconds.

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
                "%s did not take all results within %g s; the rest is not waited for.",
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
                        "%s did not take what was logged; the run goes on without it. "
                        "Further failures are counted: %s: %s",
                        self._name,
                        type(error).__name__,
                        error,
                        exc_info=error,
                    )
