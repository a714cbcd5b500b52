"""OutputReader: the thread that reads one stream of a program.

::

    program --pipe--> OutputReader --> the trial's own output: log file or terminal
                           |
                           +--> the last lines, for an error
                           +--> lines --> results --> Mailbox
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from localtune.trainable.command.mailbox import Arrival, Mailbox
from localtune.trainable.command.output_lines import LineSplitter, Tail
from localtune.trainable.command.parse import Parser, takes_checkpoint

_CHUNK_BYTES = 64 * 1024
# The rest of a line follows within this time, or its beginning is passed on alone.
_REST_MS = 50


class OutputReader(threading.Thread):
    """Reads a stream of a program to its end.

    Args:
        source: Descriptor to read.
        target: Descriptor of the trial's output; owned from now on.
        parse: Finds results in lines; None looks for none.
        mailbox: Gets the results.
        hold: Holds the program; called for a result with which its state counts.

    Attributes:
        tail: The last lines.
        lines: Splits the stream.
        has_results: Whether any result was found.
    """

    def __init__(
        self,
        source: int,
        target: int,
        parse: Parser | None,
        mailbox: Mailbox,
        hold: Callable[[], None],
    ) -> None:
        super().__init__(name="localtune-program-output", daemon=True)
        self.tail = Tail()
        self.lines = LineSplitter()
        self.has_results = False
        self._source = source
        self._target = target
        self._parse = parse
        self._mailbox = mailbox
        self._hold = hold
        self._begun = b""  # A line that has no end yet, and has not been passed on.

    def run(self) -> None:
        try:
            while data := self._next():
                written_ns = time.time_ns()
                self._hand_over(self._results_in(data), written_ns)
            self._write(self._begun)
            if self._parse is not None:
                self._hand_over(self._parsed(self.lines.finish()), time.time_ns())
        finally:
            os.close(self._target)
            self._mailbox.wake()

    def _next(self) -> bytes:
        """Reads data; passes on the beginning of a line before, if its rest is not there soon."""
        if self._begun and not _can_read(self._source, _REST_MS):
            begun, self._begun = self._begun, b""
            self._write(begun)
        return _read(self._source)

    def _results_in(self, data: bytes) -> list[Arrival]:
        """Passes data on; returns the results in it."""
        self._pass_on(data)
        self.tail.feed(data)
        return self._parsed(self.lines.feed(data)) if self._parse is not None else []

    def _parsed(self, lines: Iterable[bytes]) -> list[Arrival]:
        assert self._parse is not None
        return arrivals("stdout", [each for line in lines if (each := self._parse(line))])

    def _hand_over(self, found: list[Arrival], written_ns: int) -> None:
        if any(each.takes_state for each in found):
            # What the program has printed before it is held is from after its state.
            self._hold()
            while _can_read(self._source) and (data := _read(self._source)):
                found += self._results_in(data)
            keep_latest_state(found, written_ns)
        self.has_results = self.has_results or bool(found)
        for arrival in found:
            if not self._mailbox.put(arrival):
                # Nobody takes results any more.
                self._parse = None
                return

    def _pass_on(self, data: bytes) -> None:
        """Passes lines on whole, because other processes write to the same place.

        A Python program without a buffer writes a line and its end apart.
        """
        data = self._begun + data
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - end > _CHUNK_BYTES:
            end = len(data)
        self._begun = data[end:]
        self._write(data[:end])

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._target, rest) :]
        except OSError:
            return  # Its reader has gone, or the disk is full: the program goes on.


def arrivals(way: str, results: Iterable[dict[str, Any]]) -> list[Arrival]:
    """Makes arrivals of results.

    Args:
        way: How the results came.
        results: The metrics of each.
    """
    return [Arrival(way, metrics, takes_checkpoint(metrics)) for metrics in results]


def keep_latest_state(found: list[Arrival], written_ns: int) -> None:
    """Lets only the last of several results have the state of the program, which is held.

    The program has gone on since it reported the others.

    Args:
        found: Results in their order; some of them ask for the state.
        written_ns: When the program had reported them, at the latest.
    """
    *earlier, latest = (each for each in found if each.takes_state)
    for each in earlier:
        each.takes_state = False
    latest.is_held = True
    latest.written_ns = written_ns


def _can_read(descriptor: int, wait_ms: int = 0) -> bool:
    if os.name == "nt":
        return False  # A pipe cannot be polled there.
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(wait_ms))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError:
        return b""
