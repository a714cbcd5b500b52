"""The parent's side of one template.

A template is asked for a few workers at a time, and for the next one when it has answered. So the
socket always has room for packets and descriptors, and the parent never waits for the template::

    fork --> unsent --[fewer than _MOST_ASKED]--> asked --"started", "not started"--> running
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any, Protocol

from localtune.execution.executor import WorkerExit
from localtune.execution.process import packets as pk
from localtune.execution.process.waiter import Waiter
from localtune.worker.lifeline import END_TIMEOUT_S

# Most requests at one time: enough to keep a template busy, and below the limits on descriptors in
# flight.
_MOST_ASKED = 16
# A template that should report an end, but has reported nothing for so long, hangs.
_STUCK_S = 10.0


def not_started(reason: str) -> WorkerExit:
    """Returns the exit of a worker that the system refused to start."""
    return WorkerExit(None, f"it could not be started: {reason}", no_room=True)


class Observer(Protocol):
    """Handles the reports of a template."""

    def on_worker_exit(self, worker_id: int, exit: WorkerExit) -> None:
        """Handles the end of a worker.

        Args:
            worker_id: A worker that has ended, or will never start.
            exit: How it ended.
        """

    def on_refusal(self, client: TemplateClient, reason: str) -> None:
        """Handles the report of a template that must not fork.

        Args:
            client: The client of the template.
            reason: One clause for the user.
        """

    def on_faulty_import(self, client: TemplateClient, reason: str) -> None:
        """Handles the report of a template that an import has failed.

        Args:
            client: The client of the template; its ``importing`` is the module.
            reason: One clause for the user.
        """


class TemplateClient:
    """Talks to one template.

    Args:
        id: The guard's id of the template.
        control: Socket to the template; owned from now on.
        environment: Environment variables of the template.
        waiter: Watches the socket.
        observer: Gets the reports of the template.
    """

    def __init__(
        self,
        id: int,
        control: socket.socket,
        environment: Mapping[str, str],
        waiter: Waiter,
        observer: Observer,
    ) -> None:
        self.id = id
        self.environment = environment
        self._control = control
        self._waiter = waiter
        self._observer = observer
        self._is_watched = True
        self.pids: dict[int, int] = {}  # {worker id: pid}
        # {worker id: (the worker's end of its pipe, descriptor of its output)}
        self.waiting: dict[int, tuple[Any, int | None]] = {}
        self.unsent: dict[int, None] = {}  # of these, the ones not requested yet, in order
        self.early_signals: dict[int, int] = {}  # {worker id: signal to send after its start}
        self.was_loaded = False
        self.was_refused = False
        # A module that it was told to import, while it does so; "" while it tries what they do.
        self.importing: str | None = None
        self.problem = ""
        self.exit_code: int | None = None
        self._pidfds: dict[int, int] = {}
        self._asked: set[int] = set()  # requested workers, not answered yet
        self._cancelled: set[int] = set()  # of these, the cancelled ones
        self._unwatched: set[int] = set()  # workers that are killed for lack of a descriptor
        self._heard_at = time.monotonic()
        control.setblocking(False)
        waiter.register(control, self._on_readable)

    def fork(self, worker_id: int, theirs: Any, output_fd: int | None) -> None:
        """Asks the template for a worker.

        Args:
            worker_id: Never used before.
            theirs: The worker's end of its pipe; owned from now on.
            output_fd: Descriptor that the worker prints to; None is the template's own output.

        Raises:
            OSError: if the system refuses to pass descriptors on.
        """
        # Kept open until the template reports the fork, so that another template can take over.
        self.waiting[worker_id] = (theirs, output_fd)
        self.unsent[worker_id] = None
        try:
            self._ask()
        except OSError:
            del self.waiting[worker_id], self.unsent[worker_id]
            raise

    def _ask(self) -> None:
        """Requests the next workers, up to the limit.

        Raises:
            OSError: if the system refuses to pass descriptors on, and no answer is due after which
                the request could be repeated.
        """
        while self.unsent and len(self._asked) < _MOST_ASKED:
            worker_id = next(iter(self.unsent))
            theirs, output_fd = self.waiting[worker_id]
            fds = [theirs.fileno()] if output_fd is None else [theirs.fileno(), output_fd]
            try:
                pk.send(self._control, pk.Packet(pk.FORK, worker_id, fds=fds))
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS and not self._asked:
                    raise
                # An answer is due before; or the template has died, which the guard notices.
                return
            del self.unsent[worker_id]
            self._asked.add(worker_id)

    def _ask_again(self) -> None:
        while True:
            try:
                self._ask()
            except OSError as error:
                self._not_started(next(iter(self.unsent)), str(error))
            else:
                return

    def withdraw(self, worker_id: int) -> bool:
        """Withdraws a worker if it was not requested yet; returns whether it was withdrawn."""
        if worker_id not in self.unsent:
            return False
        self._drop(worker_id)
        return True

    def _drop(self, worker_id: int) -> None:
        self.unsent.pop(worker_id, None)
        self.waiting.pop(worker_id)[0].close()
        self._observer.on_worker_exit(worker_id, WorkerExit(-signal.SIGKILL))

    def send_signal(self, worker_id: int, signum: int) -> None:
        """Sends a signal to a worker, or withdraws the worker if it has not started.

        Args:
            worker_id: The worker; one that has ended gets no signal.
            signum: Number of the signal.
        """
        pidfd = self._pidfds.get(worker_id)
        if pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signum)
        elif self.withdraw(worker_id) or worker_id not in self.waiting:
            return
        elif signum == signal.SIGKILL and not self.was_loaded:
            # The template may hang in an import and never fork the worker.
            self._cancelled.add(worker_id)
            self._drop(worker_id)
        else:
            self.early_signals[worker_id] = signum

    def is_stuck(self) -> bool:
        """Returns whether a template that should report an end has reported nothing for long."""
        return time.monotonic() - self._heard_at > _STUCK_S

    def wait_once_more(self) -> None:
        """Restarts the time after which the template counts as stuck."""
        self._heard_at = time.monotonic()

    def close(self) -> None:
        """Closes the connection to the template. The guard ends the template if necessary."""
        self._stop_watching()
        with contextlib.suppress(OSError):
            # A process that was forked from this one may have a copy of it.
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        for theirs, _ in self.waiting.values():
            theirs.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)

    def handle_remaining(self) -> None:
        """Handles the packets that the template sent before it ended."""
        while self._is_watched and self._take_in_packet():
            pass

    def wait_for_end(self) -> None:
        """Waits until the template has closed its socket, for some seconds at most."""
        if self.was_loaded and self._is_watched:
            ended = select.poll()
            ended.register(self._control, 0)
            ended.poll(END_TIMEOUT_S * 1000)

    def _stop_watching(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._waiter.unregister(self._control)

    def _on_readable(self) -> None:
        self._take_in_packet()

    def _take_in_packet(self) -> bool:
        """Handles a packet; returns False if there is none."""
        try:
            packet = pk.receive(self._control)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            # The template has ended without reading all of its packets.
            packet = pk.receive(self._control)
        if packet is None:
            # The guard reports when the descendants have ended, too.
            self._stop_watching()
            return False
        self._heard_at = time.monotonic()
        self._asked.discard(packet.id)
        if packet.id in self._cancelled:
            for pidfd in packet.fds:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)
        elif packet.kind == pk.STARTED and not packet.fds:
            # The system has dropped the descriptor: this process had no room for it.
            self._unwatched.add(packet.id)
            with contextlib.suppress(ProcessLookupError):
                os.kill(packet.number, signal.SIGKILL)
        elif packet.kind == pk.STARTED:
            self._started(packet.id, packet.number, packet.fds[0])
        elif packet.kind == pk.EXITED and packet.id in self._unwatched:
            self._unwatched.discard(packet.id)
            self.early_signals.pop(packet.id, None)
            self._not_started(packet.id, os.strerror(errno.EMFILE))
        elif packet.kind == pk.EXITED:
            os.close(self._pidfds.pop(packet.id))
            del self.pids[packet.id]
            self._observer.on_worker_exit(packet.id, WorkerExit(packet.number))
        elif packet.kind == pk.NOT_STARTED:
            self._not_started(packet.id, packet.text)
        elif packet.kind == pk.IMPORTING:
            self.importing = packet.text
        elif packet.kind == pk.LOADED:
            self.was_loaded = True
            self.importing = None
        elif packet.kind == pk.BROKEN:
            self._observer.on_faulty_import(self, packet.text)
            if self.was_refused:
                return True
        elif packet.kind == pk.REFUSED:
            self.was_refused = True
            self._observer.on_refusal(self, packet.text)
            return True
        self._ask_again()
        return True

    def _not_started(self, worker_id: int, reason: str) -> None:
        self.unsent.pop(worker_id, None)
        self.waiting.pop(worker_id)[0].close()
        self._observer.on_worker_exit(worker_id, not_started(reason))

    def _started(self, worker_id: int, pid: int, pidfd: int) -> None:
        self.waiting.pop(worker_id)[0].close()
        self.pids[worker_id] = pid
        self._pidfds[worker_id] = pidfd
        signum = self.early_signals.pop(worker_id, None)
        if signum is not None:
            self.send_signal(worker_id, signum)
