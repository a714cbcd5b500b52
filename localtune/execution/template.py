"""The template: a warm, single-threaded process that forks one worker per trial. Linux.

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

Workers are killed by the kernel if the template dies. Descendants of a worker that lose their
parents stay below the worker while it lives and come to the template when it has ended: so
whatever the template finds among its children that is no worker belongs to no trial any more.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import struct
from typing import Any, NoReturn

from localtune.utils import open_files
from localtune.worker.lifeline import adopt_orphans, children_of, die_with_parent
from localtune.worker.main import (
    adopt_interpreter,
    exit_worker,
    restore_open_files,
    serve,
    write_crashes_to,
)
from localtune.worker.pipe import Descriptor
from localtune.worker.program import load_program, warm_up
from localtune.worker.workdir import flush_output

# Every packet: kind, worker id, number (pid or status). Text may follow.
HEADER = struct.Struct("=cqq")
FORK, STARTED, EXITED, LOADED = b"F", b"S", b"X", b"L"
# With a text that says why: this template must not fork; it cannot load what it was told to;
# the system refuses to start the worker.
REFUSED, BROKEN, NOT_STARTED = b"R", b"B", b"N"
MAX_PACKET_BYTES = 64 * 1024


def main(control_fd: int, settings: dict[str, Any]) -> NoReturn:
    """Entry of the template process.

    Args:
        control_fd: Inherited end of the socket to the parent.
        settings: ``program``, ``preload``, ``private_dir``, ``parent_pid``, and what
            :func:`~localtune.worker.main.adopt_interpreter` needs.
    """
    code = 1
    try:
        adopt_interpreter(settings)
        template = Template(socket.socket(fileno=control_fd), settings)
        template.run()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        # The parent may have died before this process could watch it.
        if os.getppid() != settings["parent_pid"]:
            _remove_tree(settings["private_dir"])
        # Threads that an import has started would keep the interpreter from ending.
        flush_output()
        os._exit(code)


class Template:
    """Forks workers, reports their ends, and kills them when the parent has gone.

    Args:
        control: Socket to the parent.
        settings: See :func:`main`.
    """

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._program: str = settings["program"]
        self._preload: tuple[str, ...] | None = settings["preload"]
        self._private_dir: str = settings["private_dir"]
        self._open_files: int | None = settings["open_files"]
        self._trainable: Any = None
        self._workers: dict[int, int] = {}  # {pid: worker id}
        self._pidfds: dict[int, int] = {}  # {pidfd: pid}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._parent_pidfd = os.pidfd_open(settings["parent_pid"])
        self._poll.register(self._parent_pidfd, select.POLLIN)
        adopt_orphans()
        limits = open_files.limits()
        if limits is not None:
            open_files.set_soft_limit(limits[1])  # It holds a descriptor of each worker.

    # -- loading --------------------------------------------------------------------------------

    def _load(self) -> bool:
        """Imports what the trainable needs; tells the parent, and returns, whether to go on."""
        warm_up()
        try:
            for name in self._preload or ():
                __import__(name)
        except BaseException as error:
            problem = f"preload: importing {name!r} raised {type(error).__name__}: {error}"
            self._send(BROKEN, 0, 0, problem.encode())
            return False
        if self._preload is None:
            # A trainable that cannot be loaded is the workers' failure to report: there it has
            # a trial, a directory and a traceback.
            try:
                self._trainable = load_program(self._program)
            except BaseException:
                self._trainable = None
        problem = why_unsafe_to_fork()
        # What is loaded by now is shared by all workers: keep the collector from touching (and
        # so from copying) it.
        gc.collect()
        gc.freeze()
        if problem:
            self._send(REFUSED, 0, 0, problem.encode())
            return False
        self._send(LOADED, 0, 0)
        return True

    # -- the loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serves the parent until it has gone, and then leaves nothing behind."""
        if not self._load():
            # The run goes on without this template, and with its directory.
            self._kill_all()
            return
        while self._serve_once():
            pass
        self._kill_all()
        _remove_tree(self._private_dir)

    def _serve_once(self) -> bool:
        """Waits for something to happen and handles it; False when the parent has gone."""
        for fd, _ in self._poll.poll():
            if fd == self._parent_pidfd:
                return False
            if fd == self._control.fileno():
                if not self._serve_parent():
                    return False
            else:
                self._bury(fd)
        return True

    def _serve_parent(self) -> bool:
        """Handles one packet; False when the parent has gone."""
        try:
            packet, fds, _, _ = socket.recv_fds(self._control, MAX_PACKET_BYTES, 2)
        except OSError:
            return False
        if not packet:
            return False
        _, worker_id, _ = HEADER.unpack_from(packet)
        if fds:
            self._fork(worker_id, *fds)
        else:
            # The system has dropped what there was no room for.
            self._send(NOT_STARTED, worker_id, 0, os.strerror(errno.EMFILE).encode())
        return True

    def _fork(self, worker_id: int, connection_fd: int, output_fd: int | None = None) -> None:
        template_pid = os.getpid()
        try:
            self._start(worker_id, connection_fd, output_fd, template_pid)
        finally:
            os.close(connection_fd)
            if output_fd is not None:
                os.close(output_fd)

    def _start(
        self, worker_id: int, connection_fd: int, output_fd: int | None, template_pid: int
    ) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._send(NOT_STARTED, worker_id, 0, str(error).encode())
            return
        if pid == 0:
            self._become_worker(worker_id, connection_fd, output_fd, template_pid)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._send(NOT_STARTED, worker_id, 0, str(error).encode())
            return
        self._workers[pid] = worker_id
        self._pidfds[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._send(STARTED, worker_id, pid, fds=[pidfd])

    def _become_worker(
        self, worker_id: int, connection_fd: int, output_fd: int | None, template_pid: int
    ) -> NoReturn:
        code = 1
        try:
            os.setsid()
            die_with_parent(template_pid)
            adopt_orphans()
            self._control.close()
            os.close(self._parent_pidfd)
            for pidfd in self._pidfds:
                os.close(pidfd)
            restore_open_files(self._open_files)
            if output_fd is not None:
                for standard in (1, 2):
                    os.dup2(output_fd, standard)
                os.close(output_fd)
            crash_file = write_crashes_to(self._private_dir, worker_id)
            code = serve(Descriptor(connection_fd), self._get_trainable, crash_file)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            exit_worker(code)
        raise AssertionError("exit_worker does not return")

    def _get_trainable(self) -> Any:
        return self._trainable if self._trainable is not None else load_program(self._program)

    # -- ends -----------------------------------------------------------------------------------

    def _bury(self, pidfd: int) -> None:
        """Cleans up after a worker that has ended, then reports its status."""
        pid = self._pidfds.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        # As long as the worker is not waited for, its process group id cannot be used again.
        _kill_group(pid)
        _, status = os.waitpid(pid, 0)
        worker_id = self._workers.pop(pid)
        self._kill_orphans()
        self._send(EXITED, worker_id, os.waitstatus_to_exitcode(status))

    def _kill_orphans(self) -> None:
        """Kills all children that are no workers, and those that these leave behind in turn."""
        while True:
            orphans = [pid for pid in children_of(os.getpid()) if pid not in self._workers]
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    def _kill_all(self) -> None:
        """The parent has gone: nothing of the run may stay."""
        for pid in self._workers:
            _kill_group(pid)
        self._workers.clear()
        self._kill_orphans()

    def _send(
        self,
        kind: bytes,
        worker_id: int,
        number: int,
        text: bytes = b"",
        fds: list[int] | None = None,
    ) -> None:
        packet = HEADER.pack(kind, worker_id, number) + text[: MAX_PACKET_BYTES // 2]
        # If the parent has gone, the loop will see it.
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [packet], fds or [])


def why_unsafe_to_fork() -> str:
    """Why this process must not be forked; "" if it may.

    A forked child has one thread only. Locks that other threads of Python held stay locked for
    ever in it, and a GPU context does not survive a fork at all. Processes that an import has
    started would be shared by all trials, and could not be told from what trials leave behind.
    Threads of numerical libraries are no problem where the library restarts them (OpenBLAS,
    OpenMP of GNU), and the template runs with one such thread per CPU that a trial asks for.
    """
    import threading

    threads = [thread.name for thread in threading.enumerate() if thread.is_alive()]
    if len(threads) > 1:
        return f"importing it starts threads ({', '.join(threads[1:])})"
    if children_of(os.getpid()):
        return "importing it starts processes"
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri/")):
            return f"importing it opens the GPU ({target})"
    return ""


def _remove_tree(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
