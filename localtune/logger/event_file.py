"""EventFile: files of events that TensorBoard reads.

A file is a sequence of records, with all numbers little-endian:

    length of the event (8 bytes) | its checksum (4) | event, a protocol buffer | its checksum (4)

A trial has one file. When the trial goes back to a checkpoint, the later events stay in the file,
because a running TensorBoard has read them already. A mark tells TensorBoard to forget them:

    start 1 2 3 4 5 [forget from 3 on] 3 4 5 6
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.logger.append_file import AppendFile
from localtune.utils.files import no_link

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size
# The first version of the format with which TensorBoard can forget events.
_FILE_VERSION = "brain.Event:2"


class EventFile:
    """A file of events. It is created if it is missing; a cut record at its end is removed.

    An event is in the file as soon as it is added.

    Args:
        path: Path of the file.

    Attributes:
        is_new: Whether the file was empty when it was opened.
        last_step: Step of the last event; 0 if there is none.

    Raises:
        OSError: if the file cannot be opened.
        ExtraMissingError: if tensorboardX is not installed.
    """

    def __init__(self, path: str) -> None:
        self._proto = load_tensorboardx().proto.event_pb2
        last = _mend(path)
        self.is_new = last is None
        self.last_step = 0 if last is None else int(self._proto.Event.FromString(last).step)
        self._may_have_gone_back = not self.is_new
        self._file = AppendFile(path)
        if self.is_new:
            self._append(file_version=_FILE_VERSION)

    def add(self, summaries: Iterable[Any], step: int) -> None:
        """Adds a result as one event.

        Args:
            summaries: tensorboardX's ``Summary`` objects.
            step: Step of the result. If the first added result is not ahead of the events in the
                file, TensorBoard forgets these from this step on.

        Raises:
            OSError: if the write fails.
        """
        if self._may_have_gone_back and step <= self.last_step:
            start = self._proto.SessionLog(status=self._proto.SessionLog.START)
            self._append(step=step, session_log=start)
        self._may_have_gone_back = False
        self.note(summaries, step)

    def note(self, summaries: Iterable[Any], step: int) -> None:
        """Adds an event that never makes TensorBoard forget earlier ones.

        Args:
            summaries: tensorboardX's ``Summary`` objects.
            step: Step of the event.

        Raises:
            OSError: if the write fails.
        """
        values = [value for summary in summaries for value in summary.value]
        self._append(step=step, summary={"value": values})
        self.last_step = step

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _append(self, **fields: Any) -> None:
        event = self._proto.Event(wall_time=time.time(), **fields).SerializeToString()
        length = _LENGTH.pack(len(event))
        # A record is one write, see AppendFile.
        self._file.append_bytes(length + _checksum(length) + event + _checksum(event))


def load_tensorboardx() -> Any:
    """Imports tensorboardX with its modules that are used here.

    Raises:
        ExtraMissingError: if tensorboardX is not installed.
    """
    try:
        import tensorboardX
        import tensorboardX.proto.event_pb2
        import tensorboardX.record_writer
        import tensorboardX.summary
    except ImportError as error:
        raise ExtraMissingError("tensorboardX", "tensorboard", "TBXLoggerCallback") from error
    return tensorboardX


def _checksum(data: bytes) -> bytes:
    return _CHECKSUM.pack(load_tensorboardx().record_writer.masked_crc32c(data))


def _mend(path: str) -> bytes | None:
    """Removes an incomplete record at the end of a file, at which TensorBoard would stop.

    A full disk or a power loss may have left it.

    Returns:
        The last event of the file; None if the file is missing or empty.
    """
    if not os.path.exists(path):
        return None
    last: tuple[int, int] | None = None  # first byte, length
    with open(path, "r+b", buffering=0, opener=no_link) as file:
        size = os.fstat(file.fileno()).st_size
        end = 0
        while (length := _length_at(file.fileno(), end)) is not None:
            record_end = end + _HEADER_BYTES + length + _CHECKSUM.size
            if record_end > size:
                break
            last, end = (end + _HEADER_BYTES, length), record_end
        if end < size:
            file.truncate(end)
        return None if last is None else os.pread(file.fileno(), last[1], last[0])


def _length_at(fd: int, offset: int) -> int | None:
    header = os.pread(fd, _HEADER_BYTES, offset)
    length = header[: _LENGTH.size]
    if len(header) < _HEADER_BYTES or header[_LENGTH.size :] != _checksum(length):
        return None
    return int(_LENGTH.unpack(length)[0])
