"""The guard: the ancestor of all processes of a run, which ends orphans. Linux.

::

      parent                 guard                base               template           worker
        |  "start 1" + socket  |                    |                   |                 |
        |--------------------->|  fork, "fork 1" -->|  fork ----------->|  fork --------->|
        |                      |  becomes the parent of the template    |                 |
        |                      |<---------------- dies -----------------|                 |
        |                      |  kills and reaps what the template has left
        |<---------------------|  "ended 1 <status>"|
        |  "idle"              |                    |
        |--------------------->|  waits for the next run, some time, and keeps its bases
        |                      |
       dies - - - - - - - - - >|  kills and reaps all, exits

The nearest ancestor that adopts orphans becomes the parent of an orphan: its worker, else its
template, else the guard. So no process escapes, in any session, as long as one of them lives:

- The template is killed: the guard ends its descendants.
- The guard is killed: each template ends its descendants, and then itself. The kernel ends the
  bases.
- The parent is killed: guard and templates end their descendants, and then themselves. The guard
  lets the templates go first: if it killed a template and were killed itself before it got hold of
  what that one has left, no ancestor would be there to end it.
- A base is killed: its templates go on. The next one comes from another base.
- One of them is stopped (SIGSTOP): the kernel continues it when its parent dies.

A guard serves one run at a time, and belongs to the process that has started it. Its own output
goes nowhere, and it works in the root directory: between runs it holds nothing of the user's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

from localtune.execution.process import packets as pk
from localtune.worker.lifeline import (
    adopt_orphans,
    end_children,
    ends_within,
    signal_when_parent_dies,
)
from localtune.worker.signals import be_deaf, reset_signals

# Bases that are kept: for trials with other CPUs, or of other programs.
_MOST_BASES = 2
# A template that has not ended so many seconds after the parent is killed: it may hang.
_LEAVE_S = 1.0
# Settings of a base. Only templates with the same settings can come from it.
_OPTIONS_OF_BASE = (
    "environment",
    "is_warm",
    "prepare",
    "modules",
    "preload",
    "imports",
    "import_limit_s",
)


def main(control_fd: int, settings: dict[str, Any]) -> NoReturn:
    """Entry of the guard process.

    Args:
        control_fd: Inherited end of the socket to the parent.
        settings: ``parent_pid``, ``idle_s``, and the settings of a template.
    """
    try:
        reset_signals()
        be_deaf()
        os.chdir(os.sep)
        # Stays open to the end: by its closing the parent notices that this process has ended.
        control = socket.socket(fileno=control_fd)
        guard = Guard(control, settings)
        try:
            guard.run()
        except BaseException:
            guard.tell_error()
        guard.let_templates_end()
        end_children()
        guard.clean_up()
    finally:
        end_children()
        os._exit(0)


@dataclass(slots=True, eq=False)
class _Base:
    """The guard's side of one base.

    Attributes:
        key: What it has in common with the templates that it forks.
        pid: Its process id.
        pidfd: Its process descriptor.
        control: Socket to it.
        asked: {template id: request} of the templates that it is to fork.
        is_stale: Whether it ends because files of its modules have changed.
    """

    key: dict[str, Any]
    pid: int
    pidfd: int
    control: socket.socket
    asked: dict[int, pk.Packet] = field(default_factory=dict)
    is_stale: bool = False


class Guard:
    """Starts templates, and ends the processes that they leave.

    Args:
        control: Socket to the parent.
        settings: See :func:`main`.
    """

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._bases: list[_Base] = []  # the one that was used last is the last
        self._templates: dict[int, tuple[int, int]] = {}  # {pidfd: (pid, template id)}
        self._private_dir = ""  # of the last run
        self._is_idle = False
        self._has_lost_parent = False
        self._own_pidfd = os.pidfd_open(os.getpid())
        self._parent_pidfd = os.pidfd_open(settings["parent_pid"])
        # Other processes share these objects; the collector must not touch them, which would copy
        # them.
        gc.freeze()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._parent_pidfd, select.POLLIN)
        adopt_orphans()
        # A stopped guard must notice that the parent has died.
        signal_when_parent_dies(signal.SIGCONT)

    def run(self) -> None:
        """Serves the parent until it has gone, or has had no run for a while."""
        if os.getppid() != self._settings["parent_pid"]:
            # The parent died before this process could watch it.
            return
        while self._serve_once():
            pass

    def let_templates_end(self) -> None:
        """Waits for a moment until the templates have ended, if the parent has: so do they then."""
        if not self._has_lost_parent:
            return
        for base in list(self._bases):
            self._take_in_packets(base)
        self._continue_all()
        give_up_at = time.monotonic() + _LEAVE_S
        for pidfd in self._templates:
            ends_within(pidfd, max(give_up_at - time.monotonic(), 0.0))

    def clean_up(self) -> None:
        """Removes the directory of the last run; a living parent does not need it any more."""
        if self._private_dir:
            # Modules for the end are imported late, to keep the guard small.
            from localtune.utils.private_tree import remove_private

            remove_private(self._private_dir)

    def tell_error(self) -> None:
        """Sends the current exception to the parent."""
        import traceback

        self._send(pk.Packet(pk.FAILED, payload=traceback.format_exc().encode()))

    def _serve_once(self) -> bool:
        """Waits for an event and handles it; returns False when this process is to end."""
        idle_ms = self._settings["idle_s"] * 1000.0 if self._is_idle else None
        events = self._poll.poll(idle_ms)
        for fd, _ in events:
            if fd == self._parent_pidfd:
                self._has_lost_parent = True
                return False
            if fd == self._control.fileno():
                if not self._serve_parent():
                    return False
            elif fd in self._templates:
                self._on_template_exit(fd)
            else:
                self._on_event_of_base(fd)
        return bool(events)

    def _serve_parent(self) -> bool:
        """Handles a packet of the parent; returns False if this process is to end."""
        packet = None
        with contextlib.suppress(OSError):
            packet = pk.receive(self._control)
        if packet is None:
            self._has_lost_parent = True
            return False
        self._is_idle = packet.kind == pk.IDLE
        if packet.kind == pk.START_TEMPLATE:
            self._start_template(packet)
        elif packet.kind == pk.KILL_TEMPLATE:
            self._kill_template(packet.id)
        elif packet.kind == pk.GO_ON:
            self._continue_all()
        return packet.kind != pk.END

    def _send(self, packet: pk.Packet) -> None:
        # The loop notices it if the parent has gone.
        with contextlib.suppress(OSError):
            pk.send(self._control, packet)

    # -- templates ------------------------------------------------------------------------------

    def _start_template(self, packet: pk.Packet) -> None:
        options = pickle.loads(packet.payload)
        self._private_dir = options["private_dir"]
        try:
            base = self._base_for(packet, options)
            base.asked[packet.id] = packet
            # Its end is an event of its own. It may have been stopped (SIGSTOP).
            with contextlib.suppress(ConnectionError):
                pk.send(base.control, packet._replace(kind=pk.FORK))
            os.kill(base.pid, signal.SIGCONT)
        except OSError as error:
            _close(packet)
            self._report_end(packet.id, 1, str(error))

    def _kill_template(self, template_id: int) -> None:
        pids = [pid for pid, each in self._templates.values() if each == template_id]
        # It may hang in an import.
        pids += [base.pid for base in self._bases if template_id in base.asked]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def _continue_all(self) -> None:
        for pidfd in (*self._templates, *(base.pidfd for base in self._bases)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGCONT)

    def _on_template_exit(self, pidfd: int) -> None:
        """Ends the processes that a template has left, then reports its end."""
        pid, template_id = self._templates.pop(pidfd)
        status = self._reap(pidfd, pid)
        self._report_end(template_id, status)

    def _report_end(self, template_id: int, exit_code: int, text: str = "") -> None:
        self._send(pk.Packet(pk.TEMPLATE_ENDED, template_id, exit_code, text.encode()))

    def _reap(self, pidfd: int, pid: int) -> int:
        """Waits for a child that has ended, and ends what it has left; returns its exit code."""
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        end_children(spare=self._known_children)
        return os.waitstatus_to_exitcode(status)

    def _known_children(self) -> set[int]:
        # A template that is a child of this process by now has been reported by its base before.
        for base in list(self._bases):
            self._take_in_packets(base)
        return {pid for pid, _ in self._templates.values()} | {base.pid for base in self._bases}

    # -- bases ----------------------------------------------------------------------------------

    def _base_for(self, packet: pk.Packet, options: dict[str, Any]) -> _Base:
        """Returns the base for a template; starts it if there is none.

        Raises:
            OSError: if the operating system refuses.
        """
        key = {name: options[name] for name in _OPTIONS_OF_BASE}
        base = next((each for each in self._bases if each.key == key), None)
        if base is not None:
            self._bases.remove(base)
        others = [each for each in self._bases if not each.asked]
        for other in others[: len(others) + 1 - _MOST_BASES]:
            other.key = {}
            os.kill(other.pid, signal.SIGKILL)
        base = base or self._start_base(packet, key)
        self._bases.append(base)
        return base

    def _start_base(self, packet: pk.Packet, key: dict[str, Any]) -> _Base:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        guard_pid = os.getpid()
        try:
            with theirs:
                pid = os.fork()
                if pid == 0:
                    ours.close()
                    _close(packet)
                    self._become_base(theirs, guard_pid, key)
            base = _Base(key, pid, os.pidfd_open(pid), ours)
        except BaseException:
            ours.close()
            raise
        self._poll.register(base.control, select.POLLIN)
        self._poll.register(base.pidfd, select.POLLIN)
        return base

    def _become_base(
        self, control: socket.socket, guard_pid: int, options: dict[str, Any]
    ) -> NoReturn:
        try:
            os.setsid()
            self._control.close()
            for pidfd in self._templates:
                os.close(pidfd)
            for base in self._bases:
                os.close(base.pidfd)
                base.control.close()
                for asked in base.asked.values():
                    _close(asked)
            reset_signals()
            os.environ.update(options["environment"])
            # Modules consist of objects that stay: the base turns the collector on behind them.
            gc.disable()
            from localtune.execution.process.base import main as base_main

            superiors = (self._own_pidfd, self._parent_pidfd)
            base_main(control, guard_pid, superiors, self._settings | options)
        finally:
            os._exit(1)

    def _on_event_of_base(self, fd: int) -> None:
        for base in self._bases:
            if fd == base.control.fileno():
                self._take_in_packets(base)
                return
            if fd == base.pidfd:
                self._take_in_packets(base)
                self._on_base_exit(base)
                return

    def _take_in_packets(self, base: _Base) -> None:
        """Handles what a base has sent until now."""
        base.control.setblocking(False)
        with contextlib.suppress(OSError):
            while packet := pk.receive(base.control):
                self._take_in(base, packet)

    def _take_in(self, base: _Base, packet: pk.Packet) -> None:
        if packet.kind == pk.STALE:
            base.is_stale, base.key = True, {}
            return
        _close(base.asked.pop(packet.id))
        if packet.kind == pk.STARTED:
            (pidfd,) = packet.fds
            self._templates[pidfd] = (packet.number, packet.id)
            self._poll.register(pidfd, select.POLLIN)
        else:
            self._report_end(packet.id, packet.number, packet.text)

    def _on_base_exit(self, base: _Base) -> None:
        self._bases.remove(base)
        self._poll.unregister(base.control)
        base.control.close()
        status = self._reap(base.pidfd, base.pid)
        for packet in base.asked.values():
            if base.is_stale:
                self._start_template(packet)
            else:
                # It died of an import, or has refused to fork.
                _close(packet)
                self._report_end(packet.id, status)


def _close(packet: pk.Packet) -> None:
    for fd in packet.fds:
        os.close(fd)
