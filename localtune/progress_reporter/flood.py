"""Keeps a run with thousands of short trials from flooding a log."""

from __future__ import annotations

from collections import Counter

WINDOW_S = 1.0
MAX_LINES = 20


class FloodGate:
    """Lets a number of lines of each kind through per second and counts the rest.

    The first second of a flood still shows its first lines. While it goes on, each second is one
    line that says how much there was.

    Args:
        max_lines: Lines of one kind per second.
    """

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self._max_lines = max_lines
        self._window_end_s = 0.0
        self._seen: Counter[str] = Counter()
        self._held_back: Counter[str] = Counter()
        self._flooded: set[str] = set()

    def admit(self, kind: str) -> bool:
        """Whether to print a line of this kind; call :meth:`collapsed` before."""
        self._seen[kind] += 1
        if kind not in self._flooded and self._seen[kind] <= self._max_lines:
            return True
        self._held_back[kind] += 1
        return False

    def collapsed(self, now_s: float) -> dict[str, int]:
        """{kind: lines held back} of the second that has ended; empty within one.

        Args:
            now_s: Reading of a monotonic clock.
        """
        if now_s < self._window_end_s:
            return {}
        self._window_end_s = now_s + WINDOW_S
        return self.drain()

    def drain(self) -> dict[str, int]:
        """{kind: lines held back} so far; starts anew."""
        held_back = dict(self._held_back)
        self._flooded = {kind for kind, seen in self._seen.items() if seen > self._max_lines}
        self._seen.clear()
        self._held_back.clear()
        return held_back
