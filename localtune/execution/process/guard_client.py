"""The parent's side of the guard."""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from localtune.execution.process import packets as pk
from localtune.execution.process.interpreter import bootstrap, popen
from localtune.execution.process.launcher import Program
from localtune.execution.process.waiter import Waiter
from localtune.utils.processes import end_marked, environment_with, new_mark
from localtune.worker.lifeline import END_TIMEOUT_S


class GuardClient:
    """Starts a guard, and templates through it.

    Args:
        program: The program of the workers.
        settings: For :func:`localtune.execution.process.guard.main`.
        waiter: Watches the socket to the guard.
        on_template_ended: Called as ``on_template_ended(template_id, exit_code, text)`` when a
            template and all that it left behind have ended.
        on_lost: Called when the guard itself has ended.

    Raises:
        OSError: if the operating system refuses.
    """

    def __init__(
        self,
        program: Program,
        settings: dict[str, Any],
        waiter: Waiter,
        on_template_ended: Callable[[int, int, str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._waiter = waiter
        self._on_template_ended = on_template_ended
        self._on_lost = on_lost
        self._mark = new_mark()
        self._next_id = 0
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            try:
                code = bootstrap("localtune.execution.process.guard:main", number, settings)
                self._process = popen(
                    code, environment_with(self._mark), program.outputs, pass_fds=(number,)
                )
            except BaseException:
                self._control.close()
                raise
        self._control.setblocking(False)
        waiter.register(self._control, self._on_packet)

    def start_template(
        self, environment: Mapping[str, str], **options: Any
    ) -> tuple[int, socket.socket]:
        """Starts a template; does not wait for it.

        Args:
            environment: Variables that must be set before libraries are loaded.
            **options: Settings for :func:`localtune.execution.process.template.main`.

        Returns:
            Its id and the socket to it.

        Raises:
            OSError: if the operating system refuses.
        """
        self._next_id += 1
        payload = pickle.dumps({**options, "environment": dict(environment)})
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            packet = pk.Packet(pk.START_TEMPLATE, self._next_id, 0, payload, (theirs.fileno(),))
            try:
                self._send(packet)
            except BlockingIOError:
                ours.close()
                raise
        return self._next_id, ours

    def kill_template(self, template_id: int) -> None:
        """Kills a template that does not report any more; its end is reported."""
        # The guard itself may have been stopped (SIGSTOP).
        self._process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BlockingIOError):
            self._send(pk.Packet(pk.KILL_TEMPLATE, template_id))

    def _send(self, packet: pk.Packet) -> None:
        # The reader notices that the guard has died.
        with contextlib.suppress(ConnectionError):
            pk.send(self._control, packet)

    def close(self) -> None:
        """Ends the guard with all its descendants."""
        self._waiter.unregister(self._control)
        self._control.close()
        # It may have been stopped (SIGSTOP).
        self._process.send_signal(signal.SIGCONT)
        try:
            # It ends because the socket is closed.
            self._process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            end_marked(self._mark)

    def _on_packet(self) -> None:
        packet = None
        try:
            packet = pk.receive(self._control)
        except BlockingIOError:
            return
        except OSError:
            # It has ended without reading all.
            pass
        if packet is None:
            self._on_lost()
        else:
            self._on_template_ended(packet.id, packet.number, packet.text)

    def close_lost(self) -> None:
        """Closes the client of a guard that was killed, and ends the processes that it left."""
        self.close()
        end_marked(self._mark)
