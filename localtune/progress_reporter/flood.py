"""FloodGate: limits the number of lines per second in a log."""

from __future__ import annotations

from collections import Counter

WINDOW_S = 1.0
MAX_LINES = 20


class FloodGate:
    """Admits a number of lines of each kind per second, and counts the others.

    In the first second of a flood, its first lines are shown. In each further second, one line
    tells the number of lines held back.

    Args:
        max_lines: Largest number of lines of one kind per second.
    """

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self._max_lines = max_lines
        self._window_end_s = 0.0
        self._seen: Counter[str] = Counter()
        self._held_back: Counter[str] = Counter()
        self._flooded: set[str] = set()

    def admit(self, kind: str) -> bool:
        """Returns whether to print a line of this kind; call :meth:`collapsed` first."""
        self._seen[kind] += 1
        if kind not in self._flooded and self._seen[kind] <= self._max_lines:
            return True
        self._held_back[kind] += 1
        return False

    def collapsed(self, now_s: float) -> dict[str, int]:
        """Returns {kind: number of lines held back} at the end of each second, else {}.

        Args:
            now_s: Reading of a monotonic clock, in seconds.
        """
        if now_s < self._window_end_s:
            return {}
        self._window_end_s = now_s + WINDOW_S
        return self.drain()

    def drain(self) -> dict[str, int]:
        """Returns {kind: number of lines held back} so far, and resets the numbers."""
        held_back = dict(self._held_back)
        self._flooded = {kind for kind, seen in self._seen.items() if seen > self._max_lines}
        self._seen.clear()
        self._held_back.clear()
        return held_back
