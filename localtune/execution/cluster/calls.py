"""CallThread: carries out calls, one after the other, in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from localtune.utils.messages import get_logger

logger = get_logger(__name__)


class CallThread(threading.Thread):
    """Carries out calls in their order, and looks around in between.

    Args:
        name: Name of the thread.
        look: Called again and again; returns after how many seconds to call it next.
    """

    def __init__(self, name: str, look: Callable[[], float]) -> None:
        super().__init__(daemon=True, name=name)
        self._look = look
        self._calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None]
        self._calls = queue.SimpleQueue()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Lets the thread call a function soon. Returns at once; any thread may call.

        Args:
            function: The function.
            *arguments: Its arguments.
        """
        self._calls.put((function, arguments))

    def close(self, timeout_s: float) -> None:
        """Ends the thread when it has carried out what waits.

        Args:
            timeout_s: The most seconds to wait for that.
        """
        self._calls.put(None)
        self.join(timeout_s)

    def run(self) -> None:
        look_at = time.monotonic()
        while True:
            try:
                item = self._calls.get(timeout=max(look_at - time.monotonic(), 0.0))
            except queue.Empty:
                item = (_nothing, ())
            if item is None:
                return
            function, arguments = item
            self._try(function, *arguments)
            if time.monotonic() >= look_at:
                pause_s = self._try(self._look)
                look_at = time.monotonic() + (1.0 if pause_s is None else pause_s)

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            # The thread serves all nodes: it must live on.
            logger.warning("%s: %s: %s", self.name, type(error).__name__, error, exc_info=True)
            return None


def _nothing() -> None:
    return
