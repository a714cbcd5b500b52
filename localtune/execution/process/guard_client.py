r"""The parent's side of the guard.

::

    GuardClient() --> attach(run) --> start_template ... --> detach() --> kept for the next run
                                                       \--> close()       (see warm.py)
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from localtune.execution.process import packets as pk
from localtune.execution.process.interpreter import bootstrap, popen
from localtune.execution.process.waiter import Waiter
from localtune.utils.messages import get_logger
from localtune.utils.processes import end_marked, environment_with, new_mark
from localtune.worker.lifeline import END_TIMEOUT_S

logger = get_logger(__name__)


class GuardClient:
    """Starts a guard, and templates through it.

    Args:
        settings: For :func:`localtune.execution.process.guard.main`.

    Raises:
        OSError: if the operating system refuses.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._owner = os.getpid()
        self._mark = new_mark()
        self._next_id = 0
        self._running: set[int] = set()  # templates that have not ended
        self._waiter: Waiter | None = None
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            try:
                code = bootstrap("localtune.execution.process.guard:main", number, settings)
                # It outlives the run, so it does not get the output of the run.
                self._process = popen(
                    code,
                    environment_with(self._mark),
                    (subprocess.DEVNULL, subprocess.DEVNULL),
                    pass_fds=(number,),
                )
            except BaseException:
                self._control.close()
                raise
        self._control.setblocking(False)

    def attach(
        self,
        waiter: Waiter,
        on_template_ended: Callable[[int, int, str], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Serves a run from now on.

        Args:
            waiter: Watches the socket to the guard.
            on_template_ended: Called as ``on_template_ended(template_id, exit_code, text)`` when a
                template and all that it left behind have ended.
            on_lost: Called when the guard itself has ended.
        """
        self._waiter = waiter
        self._on_template_ended = on_template_ended
        self._on_lost = on_lost
        waiter.register(self._control, self._on_packet)
        # It may have been stopped (SIGSTOP) while it waited for a run.
        self._process.send_signal(signal.SIGCONT)

    def detach(self) -> bool:
        """Ends the service of a run; its workers have ended, and its templates are about to.

        Returns:
            Whether they have ended in time, and the guard can serve another run.
        """
        self._stop_watching()
        give_up_at = time.monotonic() + END_TIMEOUT_S
        heard = select.poll()
        heard.register(self._control, select.POLLIN)
        try:
            while self._running:
                if not heard.poll(max(give_up_at - time.monotonic(), 0.0) * 1000):
                    return False
                packet = pk.receive(self._control)
                if packet is None:
                    return False
                self._take_in(packet)
            pk.send(self._control, pk.Packet(pk.IDLE))
        except OSError:
            return False
        return True

    def is_alive(self) -> bool:
        """Returns whether the guard still waits for a run."""
        try:
            # It tells nothing meanwhile, but that it fails.
            pk.receive(self._control)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def start_template(
        self,
        environment: Mapping[str, str],
        outputs: tuple[int, int],
        lease_fd: int | None = None,
        **options: Any,
    ) -> tuple[int, socket.socket]:
        """Starts a template in the working directory of this process; does not wait for it.

        Args:
            environment: Variables that must be set before libraries are loaded.
            outputs: Descriptors for its output and its errors.
            lease_fd: Descriptor that it and its workers keep open to their end; None is none.
            **options: ``modules``, the names of those that the template is to have imported, and
                settings for :func:`localtune.execution.process.template.main`.

        Returns:
            Its id and the socket to it.

        Raises:
            OSError: if the operating system refuses.
        """
        self._next_id += 1
        payload = pickle.dumps({**options, "environment": dict(environment)})
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        directory = -1
        try:
            directory = _open_directory()
            leases = () if lease_fd is None else (lease_fd,)
            fds = (theirs.fileno(), directory, *outputs, *leases)
            self._send(pk.Packet(pk.START_TEMPLATE, self._next_id, 0, payload, fds))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            if directory >= 0:
                os.close(directory)
        self._running.add(self._next_id)
        return self._next_id, ours

    def kill_template(self, template_id: int) -> None:
        """Kills a template that does not report any more; its end is reported."""
        # The guard itself may have been stopped (SIGSTOP).
        self._process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BlockingIOError):
            self._send(pk.Packet(pk.KILL_TEMPLATE, template_id))

    def go_on(self) -> None:
        """Continues the guard, and what it has started, if something has stopped it (SIGSTOP)."""
        self._process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BlockingIOError):
            self._send(pk.Packet(pk.GO_ON))

    def _send(self, packet: pk.Packet) -> None:
        # The reader notices that the guard has died.
        with contextlib.suppress(ConnectionError):
            pk.send(self._control, packet)

    def close(self) -> None:
        """Ends the guard with all its descendants."""
        self._stop_watching()
        if os.getpid() != self._owner:
            self.forget()
            return
        with contextlib.suppress(OSError):
            pk.send(self._control, pk.Packet(pk.END))
            # A process that was forked from this one may have a copy of it.
            self._control.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # User code has closed a descriptor that is not its own.
            self._control.close()
        # It may have been stopped (SIGSTOP).
        self._process.send_signal(signal.SIGCONT)
        try:
            # It ends because it was told to, or because the socket is closed.
            self._process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            end_marked(self._mark)

    def forget(self) -> None:
        """Lets go of a guard in a process that was forked from its owner."""
        self._control.close()
        self._process.returncode = 0  # It is not a child of this process.

    def close_lost(self) -> None:
        """Closes the client of a guard that was killed, and ends the processes that it left."""
        self.close()
        end_marked(self._mark)

    def _stop_watching(self) -> None:
        if self._waiter is not None:
            self._waiter.unregister(self._control)
            self._waiter = None

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
        elif self._take_in(packet):
            self._on_template_ended(packet.id, packet.number, packet.text)

    def _take_in(self, packet: pk.Packet) -> bool:
        """Returns whether a packet reports the end of a template."""
        if packet.kind == pk.FAILED:
            logger.error("The guard process fails:\n%s", packet.text)
            return False
        self._running.discard(packet.id)
        return True


def _open_directory() -> int:
    """Opens the working directory, which may have been removed, or be forbidden to be read."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(os.curdir, flags)
    except OSError:
        return os.open(os.sep, flags)
