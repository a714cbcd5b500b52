"""SpawnLauncher: starts each worker as a fresh interpreter, on every platform."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from typing import Any

from localtune.execution.executor import WorkerExit
from localtune.execution.process.interpreter import bootstrap, popen, popen_with_pipe
from localtune.execution.process.launcher import (
    HAS_GROUPS,
    ExitHandler,
    Launcher,
    Program,
)
from localtune.execution.process.outbox import Outbox, make_outbox
from localtune.execution.process.waiter import Waiter
from localtune.utils.processes import end_marked, environment_with, kill_tree, new_mark
from localtune.utils.signal_numbers import SIGKILL
from localtune.worker.lifeline import END_TIMEOUT_S


class SpawnLauncher(Launcher):
    """Starts each worker as a fresh interpreter.

    Processes that trials leave behind are found by their living ancestors, by their process group,
    and by a mark in their environment.

    Args:
        program: See :class:`Launcher`.
        waiter: See :class:`Launcher`.
        on_exit: See :class:`Launcher`.
        use_process_groups: Whether each worker leads a process group of its own.
    """

    def __init__(
        self,
        program: Program,
        waiter: Waiter,
        on_exit: ExitHandler,
        *,
        use_process_groups: bool = HAS_GROUPS,
    ) -> None:
        super().__init__(program, waiter, on_exit)
        self._use_process_groups = use_process_groups
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._to_guard: Outbox | None = None
        self._forget_guard: Callable[[], None] | None = None
        self._mark = new_mark()

    def launch(
        self, worker_id: int, environment: Mapping[str, str], output_fd: int | None = None
    ) -> Any:
        if self._guard is None:
            self._start_guard()
        ours, theirs = Pipe()
        try:
            with theirs:
                process = self._spawn(worker_id, theirs, environment, output_fd)
            self._tell_guard("+", process.pid)
            try:
                self._watch(process, lambda: self._on_process_exit(worker_id, process))
            except BaseException:
                process.kill()
                process.wait()
                self._tell_guard("-", process.pid)
                raise
        except BaseException:
            ours.close()
            raise
        self._processes[worker_id] = process
        return ours

    def send_signal(self, worker_id: int, signum: int) -> None:
        process = self._processes.get(worker_id)
        if process is None or process.returncode is not None:
            return
        if signum == SIGKILL:
            kill_tree(process.pid, group=self._use_process_groups)
        else:
            process.send_signal(signum)

    def process_ids(self) -> dict[int, int]:
        return {worker_id: process.pid for worker_id, process in self._processes.items()}

    def close(self) -> None:
        if self._guard is not None:
            self._end_guard(self._guard)

    def _start_guard(self) -> None:
        pids = [process.pid for process in self._processes.values()]
        settings = self._settings() | {
            "mark": self._mark,
            "workers": dict.fromkeys(pids, self._use_process_groups),
        }
        code = bootstrap("localtune.execution.process.spawn_guard:main", 0, settings)
        # Unbuffered, so that each line is sent at once.
        self._guard = popen(code, {}, self.program.outputs, stdin=subprocess.PIPE, bufsize=0)
        guarded = self._guard.stdin
        assert guarded is not None
        self._to_guard = make_outbox(self.waiter, guarded.fileno(), guarded.write)
        try:
            self._forget_guard = self._watch(self._guard, self._on_guard_lost)
        except BaseException:
            self._end_guard(self._guard)
            raise

    def _end_guard(self, guard: subprocess.Popen[bytes]) -> None:
        assert guard.stdin is not None and self._to_guard is not None
        self._to_guard.close()
        # Without one, the next launch starts another.
        self._guard = self._to_guard = None
        with contextlib.suppress(OSError):
            guard.stdin.close()
        try:
            guard.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
        if self._forget_guard is not None:
            self._forget_guard()
            self._forget_guard = None

    def _on_guard_lost(self) -> None:
        assert self._guard is not None
        self._forget_guard = None
        self._end_guard(self._guard)
        with contextlib.suppress(OSError):
            self._start_guard()

    def _spawn(
        self,
        worker_id: int,
        theirs: Any,
        environment: Mapping[str, str],
        output_fd: int | None,
    ) -> subprocess.Popen[bytes]:
        number = theirs.fileno()
        settings = self._settings()
        settings["worker_id"] = worker_id
        settings["own_group"] = self._use_process_groups
        code = bootstrap("localtune.worker.main:main_spawned", number, settings)
        environment = {
            **environment,
            **environment_with(f"{self._mark} {self._mark_of(worker_id)}"),
        }
        outputs = self.program.outputs if output_fd is None else (output_fd, output_fd)
        lease_fd = self.program.lease_fd
        return popen_with_pipe(
            code,
            environment,
            number,
            outputs,
            own_group=self._use_process_groups,
            kept_fds=() if lease_fd is None else (lease_fd,),
        )

    def _mark_of(self, worker_id: int) -> str:
        return f"{self._mark}-{worker_id}"

    def _watch(
        self, process: subprocess.Popen[bytes], on_end: Callable[[], None]
    ) -> Callable[[], None]:
        """Calls ``on_end`` within a wait when a process has ended.

        Returns:
            A function that ends the watch.
        """
        source, ended = Pipe(duplex=False)

        def wait_for_end() -> None:
            process.wait()
            ended.close()

        def forget() -> None:
            self.waiter.unregister(source)
            source.close()

        def tell() -> None:
            forget()
            on_end()

        threading.Thread(target=wait_for_end, daemon=True, name="localtune-wait").start()
        self.waiter.register(source, tell)
        return forget

    def _on_process_exit(self, worker_id: int, process: subprocess.Popen[bytes]) -> None:
        if self._use_process_groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        exit_code: int | None = process.wait()
        if _cannot_see_ends():
            exit_code = None
        # A worker that ends by itself ends its descendants. A process that has left its tree is
        # found by the mark.
        end_marked(self._mark_of(worker_id))
        del self._processes[worker_id]
        self._tell_guard("-", process.pid)
        self.on_exit(worker_id, WorkerExit(exit_code))

    def _tell_guard(self, sign: str, pid: int) -> None:
        if self._to_guard is None:
            return
        group = "g" if self._use_process_groups else "p"
        self._to_guard.send(f"{sign}{group}{pid}\n".encode())


def _cannot_see_ends() -> bool:
    """Returns whether this process cannot find out how its children end."""
    of_children = getattr(signal, "SIGCHLD", None)
    return of_children is not None and signal.getsignal(of_children) is signal.SIG_IGN
