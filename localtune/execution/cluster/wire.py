"""The messages between the parent and an agent, and their bytes.

::

      parent                                            agent
        | <------------------------------------- HELLO   |  versions
        |  CHECK or STORE ---------------------------> |  reads the token of the storage
        | <----------------------------------- CHECKED   |
        |  OPEN(program, settings) ------------------> |  opens its executor
        | <------------------------------------ OPENED   |
        |  START, SEND, STOP ------------------------> |
        | <-- REPLIED, EXITED, OUTPUT, PROCESS, WARNING  |
        |  PING -------------------------------------> |  lives on for another lease
        | <-------------------------------------- PONG   |

A message is a tuple: its kind, and plain data. A frame is a list of messages with its length in
front. The reader of a frame makes no object but numbers, texts, bytes, tuples, lists and dicts.
"""

from __future__ import annotations

import enum
import io
import pickle
import struct
from collections.abc import Sequence
from typing import Any

# Agents and parents of different versions refuse each other.
WIRE_VERSION = 2

_LENGTH = struct.Struct("!Q")

Message = tuple[Any, ...]


class Kind(enum.IntEnum):
    """The kinds of messages. HELLO keeps its number and its parts in all versions."""

    HELLO = 0  # version of the wire, {name: version}, process id
    CHECK = 1  # path of a file, its content
    CHECKED = 2  # what is wrong, "" if nothing is
    OPEN = 3  # program, settings of the executor, imports
    OPENED = 4  # what is wrong; the most workers at once or None, why
    START = 5  # worker id, command, CPUs
    SEND = 6  # worker id, command
    STOP = 7  # worker id, reason, force
    REPLIED = 8  # worker id, reply
    EXITED = 9  # worker id, attributes of WorkerExit
    OUTPUT = 10  # lines, trial id
    PROCESS = 11  # worker id, process id
    PING = 12
    PONG = 13
    STORE = 14  # attributes of StoreFacts; answered with CHECKED
    WARNING = 15  # text


def frame(messages: Sequence[Message]) -> bytes:
    """Returns the bytes of messages."""
    plain = [(int(kind), *parts) for kind, *parts in messages]
    data = pickle.dumps(plain, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


class FrameReader:
    """Puts the messages together from bytes that arrive in any portions."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Takes in bytes.

        Returns:
            The messages that are complete now.

        Raises:
            pickle.UnpicklingError: if a frame holds anything but plain data.
        """
        self._rest += data
        found: list[Message] = []
        start = 0
        while len(self._rest) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._rest, start)
            end = start + _LENGTH.size + length
            if len(self._rest) < end:
                break
            with memoryview(self._rest)[start + _LENGTH.size : end] as part:
                found += _PlainUnpickler(io.BytesIO(part)).load()
            start = end
        del self._rest[:start]
        return found


class _PlainUnpickler(pickle.Unpickler):
    """Makes plain data only."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a frame holds a {module}.{name}, which is no plain data")
