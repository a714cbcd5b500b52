"""Tee: a stream that writes to two others."""

from __future__ import annotations

from typing import Any


class Tee:
    """Writes all text to two streams.

    Args:
        stream1: The first stream; all but writing is done by it alone.
        stream2: The second one.

    Example:
        >>> import io, sys
        >>> copy = io.StringIO()
        >>> print("hello", file=Tee(sys.stdout, copy))
        hello
        >>> copy.getvalue()
        'hello\\n'
    """

    def __init__(self, stream1: Any, stream2: Any) -> None:
        self.stream1 = stream1
        self.stream2 = stream2

    def write(self, text: str) -> int:
        """Writes a text to both; returns its length."""
        self.stream1.write(text)
        self.stream2.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes several texts to both."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flushes both."""
        self.stream1.flush()
        self.stream2.flush()

    def __getattr__(self, name: str) -> Any:
        # A copy that is being unpickled has no streams yet.
        if name.startswith("__") or "stream1" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.stream1, name)
