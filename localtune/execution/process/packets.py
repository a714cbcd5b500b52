"""The packets that parent, guard, base and template exchange over unix sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

# Every packet: kind, id (of a worker or a template), number (pid or status). A payload may follow.
_HEADER = struct.Struct("=cqq")
_MAX_PACKET_BYTES = 64 * 1024
_MAX_PAYLOAD_BYTES = _MAX_PACKET_BYTES // 2
_MAX_FDS = 5
_FD = struct.Struct("=i")
_FDS_BYTES = socket.CMSG_LEN(_MAX_FDS * _FD.size) if hasattr(socket, "CMSG_LEN") else 0

# To a template: fork a worker. From it: the worker has started, has ended; it has loaded.
FORK, STARTED, EXITED, LOADED = b"F", b"S", b"X", b"L"
# From it, with a name: it begins to import a module that it was told to import.
IMPORTING = b"I"
# With a reason: this template must not fork; an import that it has begun has failed; the system
# refuses to start the worker.
REFUSED, BROKEN, NOT_STARTED = b"R", b"B", b"N"
# To the guard: start a template, kill it. From it: the template and its descendants have ended.
START_TEMPLATE, KILL_TEMPLATE, TEMPLATE_ENDED = b"T", b"K", b"E"
# To the guard: continue the processes that something has stopped.
GO_ON = b"G"
# To the guard: the run has ended, and another one may come; end. From it: why it fails.
IDLE, END, FAILED = b"W", b"Q", b"!"
# From a base: files of its modules have changed, so another one must take over.
STALE = b"O"


class Packet(NamedTuple):
    """One packet. The receiver owns its descriptors."""

    kind: bytes
    id: int = 0
    number: int = 0
    payload: bytes = b""
    fds: Sequence[int] = ()

    @property
    def text(self) -> str:
        """The payload as a text."""
        return self.payload.decode(errors="replace")


def send(control: socket.socket, packet: Packet) -> None:
    """Sends a packet.

    Args:
        control: Socket to the other side.
        packet: The packet. The end of a payload that is too long is left out.

    Raises:
        OSError: if the other side has gone.
    """
    header = _HEADER.pack(packet.kind, packet.id, packet.number)
    data = [header + packet.payload[:_MAX_PAYLOAD_BYTES]]
    # socket.send_fds would go through a module more, in each worker, too.
    if packet.fds:
        fds = struct.pack(f"={len(packet.fds)}i", *packet.fds)
        control.sendmsg(data, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    else:
        control.sendmsg(data)


def receive(control: socket.socket) -> Packet | None:
    """Returns the next packet; None if the other side has gone.

    Raises:
        ConnectionResetError: if the other side has ended before it has read all packets. This is
            raised once; its own packets can be received afterwards.
        OSError: if the socket cannot be read.
    """
    data, ancillary, _, _ = control.recvmsg(_MAX_PACKET_BYTES, _FDS_BYTES)
    if not data:
        return None
    fds = [fd for _, _, packed in ancillary for (fd,) in _FD.iter_unpack(packed)]
    kind, id, number = _HEADER.unpack_from(data)
    return Packet(kind, id, number, data[_HEADER.size :], fds)
