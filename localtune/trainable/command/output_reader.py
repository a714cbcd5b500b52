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

from localtune.trainable.command.mailbox import Arrival, Mailbox
from localtune.trainable.command.output_lines import LineSplitter, Tail
from localtune.trainable.command.parse import Parser, takes_checkpoint

_CHUNK_BYTES = 64 * 1024


class OutputReader(threading.Thread):
    """Reads a stream of a program to its end.

    Args:
        source: Descriptor to read.
        target: Descriptor of the trial's output; owned from now on.
        parse: Finds results in lines; None looks for none.
        mailbox: Gets the results.
        hold: Holds the program; called for a result with which its state counts.
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
        self._source = source
        self._target = target
        self._parse = parse
        self._mailbox = mailbox
        self._hold = hold

    def run(self) -> None:
        try:
            while data := _read(self._source):
                arrived_ns = time.time_ns()
                self._pass_on(data)
                self.tail.feed(data)
                if self._parse is not None:
                    self._hand_over(self.lines.feed(data), arrived_ns)
            if self._parse is not None:
                self._hand_over(self.lines.finish(), time.time_ns())
        finally:
            os.close(self._target)
            self._mailbox.wake()

    def _hand_over(self, lines: Iterable[bytes], arrived_ns: int) -> None:
        assert self._parse is not None
        found = [metrics for line in lines if (metrics := self._parse(line)) is not None]
        for arrival in arrivals("stdout", found, arrived_ns, self._hold):
            if not self._mailbox.put(arrival):
                # Nobody takes results any more.
                self._parse = None
                return

    def _pass_on(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._target, rest) :]
        except OSError:
            return  # Its reader has gone, or the disk is full: the program goes on.


def arrivals(
    way: str, results: list[dict[str, object]], written_ns: int, hold: Callable[[], None]
) -> list[Arrival]:
    """Makes arrivals of results that were read at once.

    Only the last one that asks for it can have the state: the program has gone on since the others.

    Args:
        way: How the results came.
        results: The metrics of each.
        written_ns: When the program had reported them, at the latest.
        hold: Holds the program.
    """
    made = [Arrival(way, metrics, takes_checkpoint(metrics)) for metrics in results]
    is_latest = True
    for arrival in reversed(made):
        arrival.written_ns = written_ns
        if arrival.takes_state and is_latest:
            is_latest = False
            hold()
            arrival.is_held = True
        elif arrival.takes_state:
            arrival.takes_state = False
    return made


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except OSError:
        return b""
