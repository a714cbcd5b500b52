"""The template: a single-threaded process that starts one worker per trial. Linux.

::

      parent                         template                          worker
        |  "fork 7" + pipe end          |                                 |
        |------------------------------>|  fork ------------------------->|  own session,
        |<------------------------------|  "started 7 <pid>" + pidfd      |  own process group
        |                               |                                 |
        |<================ commands and replies over the pipe ===========>|
        |                               |                                 |
        |                               |<------------- exits ------------|
        |                               |  kills what is left of its group
        |                               |  and what it left behind
        |<------------------------------|  "exited 7 <status>"            |
        |                               |                                 |
       dies - - - - - - - - - - - - - ->|  kills all workers, exits

While trials are short, the next worker is forked ahead: see ``spare.py``.

A warm template has loaded the trainable, so its workers need not load it; and what trials will
import. The workers of a template that is not warm become fresh interpreters.

The kernel kills the workers if the template dies. Orphans become children of their worker while it
lives, and of the template when it has ended. So a child of the template that is no worker belongs
to no trial any more. The template itself is a child of the guard, and ends when the guard does.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import math
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from localtune.execution.process import packets as pk
from localtune.execution.process.fork_safety import why_unsafe_to_fork
from localtune.execution.process.interpreter import bootstrap, command_line
from localtune.execution.process.spare import Demand, Spare, wait_for_assignment
from localtune.utils import open_files
from localtune.utils.messages import say
from localtune.utils.private_tree import remove_private
from localtune.worker.crash import write_crashes_to
from localtune.worker.lifeline import (
    END_TIMEOUT_S,
    adopt_orphans,
    be_ended_first,
    die_with_parent,
    end_children,
    ends_within,
)
from localtune.worker.main import (
    exit_worker,
    restore_open_files,
    serve,
)
from localtune.worker.pipe import Descriptor
from localtune.worker.program import load_lazy_parts, load_program
from localtune.worker.rehearsal import rehearse
from localtune.worker.signals import SignalShelter
from localtune.worker.workdir import flush_output

# A rehearsal takes as long as some trials: it pays if there are many.
_REHEARSE_AFTER = 8


def main(control_fd: int, superiors: tuple[int, int], settings: dict[str, Any]) -> NoReturn:
    """Entry of a template process, which a base has forked.

    Args:
        control_fd: Inherited end of the socket to the parent.
        superiors: Process descriptors of the guard and of the parent.
        settings: ``program``, ``preload``, ``private_dir``, ``is_warm``, ``open_files``,
            ``kept_fds`` (descriptors that workers keep open), and those that a fresh interpreter
            needs.
    """
    code = 1
    try:
        template = Template(socket.socket(fileno=control_fd), superiors, settings)
        template.run()
        code = 0
    except BaseException:
        import traceback

        say(traceback.format_exc())
    finally:
        # The interpreter would wait for threads that an import has started.
        flush_output()
        os._exit(code)


class Template:
    """Starts workers, reports their ends, and kills them when the parent or the guard has gone.

    Args:
        control: Socket to the parent.
        superiors: See :func:`main`.
        settings: See :func:`main`.
    """

    def __init__(
        self, control: socket.socket, superiors: tuple[int, int], settings: dict[str, Any]
    ) -> None:
        self._control = control
        self._superiors = superiors
        self._settings = settings
        self._program: str = settings["program"]
        self._preload: tuple[str, ...] | None = settings["preload"]
        self._private_dir: str = settings["private_dir"]
        self._open_files: int | None = settings["open_files"]
        self._trainable: Any = None
        self._workers: dict[int, int] = {}  # {pid: worker id}
        self._spare: Spare | None = None
        self._demand = Demand()
        self._is_rehearsed = False
        self._pidfds: dict[int, int] = {}  # {pidfd: pid}
        self._signals = SignalShelter()
        self._poll = select.poll()
        for source in (control, *superiors):
            self._poll.register(source, select.POLLIN)
        adopt_orphans()
        limits = open_files.limits()
        if limits is not None:
            open_files.set_soft_limit(limits[1])  # It holds a descriptor of each worker.

    # -- loading --------------------------------------------------------------------------------

    def _load(self) -> bool:
        """Loads the trainable; returns, and tells the parent, whether to go on."""
        if self._settings["is_warm"]:
            if self._preload is None:
                # The workers report that the trainable cannot be loaded, because they have
                # a trial, a directory and a traceback.
                try:
                    self._trainable = load_program(self._program)
                except BaseException:
                    self._trainable = None
            refusal = why_unsafe_to_fork()
            load_lazy_parts()
            # All workers share the objects that exist now. The collector must not touch them, which
            # would copy them.
            gc.collect()
            gc.freeze()
            if refusal:
                self._send(pk.REFUSED, text=refusal)
                return False
        self._send(pk.LOADED)
        return True

    # -- the loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serves the parent until it has gone, then ends all descendants."""
        serves = self._load()
        self._signals.shut_out()
        if serves:
            while self._serve_once():
                pass
        end_children()
        # The guard would do this, but has died with the parent. A living parent notices
        # the closed socket, and ends this process.
        self._control.close()
        if ends_within(self._superiors[0], 0) and ends_within(self._superiors[1], END_TIMEOUT_S):
            remove_private(self._private_dir)

    def _serve_once(self) -> bool:
        """Waits for events and handles them; returns False when a superior has gone."""
        events = self._poll.poll(0)
        if not events:
            self._use_the_pause()
            wait_s = self._demand.seconds_left() if self._spare is not None else None
            events = self._poll.poll(None if wait_s is None else math.ceil(wait_s * 1000))
        for fd, _ in events:
            if fd in self._superiors:
                return False
            if fd == self._control.fileno():
                if not self._serve_parent():
                    return False
            else:
                self._on_exit(fd)
        return True

    def _serve_parent(self) -> bool:
        """Handles one packet; returns False when the parent has gone."""
        try:
            packet = pk.receive(self._control)
        except OSError:
            return False
        if packet is None:
            return False
        try:
            if packet.fds:
                self._start(packet)
            else:
                # The system has dropped descriptors that it had no room for.
                self._give_up_spare()
                self._send(pk.NOT_STARTED, packet.id, text=os.strerror(errno.EMFILE))
        finally:
            for fd in packet.fds:
                os.close(fd)
        return True

    def _use_the_pause(self) -> None:
        """Does what shortens later starts, while nothing else is to be done."""
        if not self._settings["is_warm"]:
            return
        if not self._is_rehearsed and self._demand.count >= _REHEARSE_AFTER:
            self._is_rehearsed = True
            rehearse(self._private_dir)
        is_wanted = self._demand.seconds_left() > 0
        if is_wanted and self._spare is None:
            # A system that refuses it may still have room for the workers.
            with contextlib.suppress(OSError):
                self._spare = self._fork_spare()
        elif not is_wanted:
            self._give_up_spare()

    def _start(self, packet: pk.Packet) -> None:
        """Starts a worker: the spare, or else a new process."""
        spare, self._spare = self._spare, None
        try:
            if spare is not None and spare.assign(packet):
                pid, pidfd = spare.pid, spare.pidfd
            else:
                pid, pidfd = self._fork(lambda: packet, self._entry_of_fresh(packet))
        except OSError as error:
            self._send(pk.NOT_STARTED, packet.id, text=str(error))
            return
        self._workers[pid] = packet.id
        self._demand.note_start(pid)
        self._send(pk.STARTED, packet.id, pid, fds=(pidfd,))

    def _fork_spare(self) -> Spare:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:

            def receive() -> pk.Packet:
                ours.close()
                return wait_for_assignment(theirs)

            try:
                return Spare(*self._fork(receive), ours)
            except OSError:
                ours.close()
                raise

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            self._spare.end()
            self._spare = None

    def _fork(
        self, receive: Callable[[], pk.Packet], entry: list[str] | None = None
    ) -> tuple[int, int]:
        """Forks a worker.

        Args:
            receive: Called in the worker; returns its assignment.
            entry: See :meth:`_entry_of_fresh`.

        Returns:
            Its process id and its process descriptor, which is watched.

        Raises:
            OSError: if the system refuses.
        """
        template_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(receive, template_pid, entry)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._pidfds[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        return pid, pidfd

    def _entry_of_fresh(self, packet: pk.Packet) -> list[str] | None:
        """Returns the command line of a worker that becomes a fresh interpreter."""
        if self._settings["is_warm"]:
            return None
        settings = {**self._settings, "worker_id": packet.id, "own_group": True}
        return command_line(
            bootstrap("localtune.worker.main:main_spawned", packet.fds[0], settings)
        )

    def _become_worker(
        self, receive: Callable[[], pk.Packet], template_pid: int, entry: list[str] | None
    ) -> NoReturn:
        code = 1
        try:
            os.setsid()
            die_with_parent(template_pid)
            adopt_orphans()
            restore_open_files(self._open_files)
            if entry is None:
                self._control.close()
                for pidfd in (*self._superiors, *self._pidfds):
                    os.close(pidfd)
                be_ended_first()
            self._signals.let_in()
            packet = receive()
            connection_fd, *output_fds = packet.fds
            for output_fd in output_fds:
                for standard in (1, 2):
                    os.dup2(output_fd, standard)
                os.close(output_fd)
            if entry is not None:
                for fd in (connection_fd, *self._settings.get("kept_fds", ())):
                    os.set_inheritable(fd, True)
                os.execv(entry[0], entry)
            crash_file = write_crashes_to(self._private_dir, packet.id)
            code = serve(Descriptor(connection_fd), self._get_trainable, crash_file)
        except BaseException:
            import traceback

            say(traceback.format_exc())
        finally:
            exit_worker(code)
        raise AssertionError("exit_worker does not return")

    def _get_trainable(self) -> Any:
        return self._trainable if self._trainable is not None else load_program(self._program)

    # -- ends -----------------------------------------------------------------------------------

    def _on_exit(self, pidfd: int) -> None:
        """Cleans up after a worker that has ended, then reports its status; or after a spare."""
        pid = self._pidfds.pop(pidfd)
        if self._spare is not None and self._spare.pid == pid:
            self._give_up_spare()
        self._poll.unregister(pidfd)
        os.close(pidfd)
        # The id of its process group cannot be used again before the worker is reaped.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        worker_id = self._workers.pop(pid, None)
        if worker_id is None:
            return
        end_children(spare=self._pidfds.values())
        self._demand.note_end(pid)
        self._send(pk.EXITED, worker_id, os.waitstatus_to_exitcode(status))

    def _send(
        self,
        kind: bytes,
        worker_id: int = 0,
        number: int = 0,
        text: str = "",
        fds: tuple[int, ...] = (),
    ) -> None:
        # The loop notices it if the parent has gone.
        with contextlib.suppress(OSError):
            pk.send(self._control, pk.Packet(kind, worker_id, number, text.encode(), fds))
