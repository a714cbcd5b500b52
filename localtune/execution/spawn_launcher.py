"""SpawnLauncher: starts each worker as a fresh interpreter. On every platform."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from typing import Any

from localtune.execution.guard import kill_tree
from localtune.execution.interpreter import bootstrap, popen
from localtune.execution.launcher import (
    LAST_BREATH_S,
    ExitHandler,
    Launcher,
    Program,
    has_pidfd,
)
from localtune.execution.outbox import Outbox, make_outbox
from localtune.execution.waiter import Waiter


class SpawnLauncher(Launcher):
    """Starts each worker as a fresh interpreter, the same way on every platform.

    Args:
        program: See :class:`Launcher`.
        waiter: See :class:`Launcher`.
        on_exit: See :class:`Launcher`.
        use_process_groups: Whether each worker leads a process group of its own.
        use_pidfd: Whether ends are noticed through process descriptors; else by a thread per
            worker.
    """

    def __init__(
        self,
        program: Program,
        waiter: Waiter,
        on_exit: ExitHandler,
        *,
        use_process_groups: bool = hasattr(os, "killpg"),
        use_pidfd: bool | None = None,
    ) -> None:
        super().__init__(program, waiter, on_exit)
        self._use_process_groups = use_process_groups
        self._use_pidfd = has_pidfd() if use_pidfd is None else use_pidfd
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._to_guard: Outbox | None = None

    def launch(
        self, worker_id: int, environment: Mapping[str, str], output_fd: int | None = None
    ) -> Any:
        if self._guard is None:
            code = bootstrap("localtune.execution.guard:main", 0, self._settings())
            # Unbuffered: what is written has gone.
            self._guard = popen(code, {}, stdin=subprocess.PIPE, bufsize=0)
            assert self._guard.stdin is not None
            guarded = self._guard.stdin
            self._to_guard = make_outbox(self.waiter, guarded.fileno(), guarded.write)
        ours, theirs = Pipe()
        try:
            with theirs:
                process = self._spawn(worker_id, theirs, environment, output_fd)
            self._tell_guard("+", process.pid)
            try:
                self._watch(worker_id, process)
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
        if signum == getattr(signal, "SIGKILL", signal.SIGTERM):
            kill_tree(process.pid, group=self._use_process_groups)
        else:
            process.send_signal(signum)

    def process_ids(self) -> dict[int, int]:
        return {worker_id: process.pid for worker_id, process in self._processes.items()}

    def close(self) -> None:
        if self._guard is None:
            return
        assert self._guard.stdin is not None and self._to_guard is not None
        self._to_guard.close()
        with contextlib.suppress(OSError):
            self._guard.stdin.close()
        try:
            self._guard.wait(LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._guard = self._to_guard = None

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
        if sys.platform == "win32":
            os.set_handle_inheritable(number, True)
            startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})
            return popen(code, environment, startupinfo=startup)
        return popen(
            code,
            environment,
            output_fd,
            pass_fds=(number,),
            start_new_session=self._use_process_groups,
        )

    def _watch(self, worker_id: int, process: subprocess.Popen[bytes]) -> None:
        close: Callable[[Any], None]
        if self._use_pidfd:
            source: Any = os.pidfd_open(process.pid)
            close = os.close
        else:
            source, ended = Pipe(duplex=False)
            close = _close

            def wait_for_end() -> None:
                process.wait()
                ended.close()

            threading.Thread(target=wait_for_end, daemon=True, name="localtune-wait").start()

        def bury() -> None:
            self.waiter.unregister(source)
            close(source)
            self._bury(worker_id, process)

        self.waiter.register(source, bury)

    def _bury(self, worker_id: int, process: subprocess.Popen[bytes]) -> None:
        if self._use_process_groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        exit_code = process.wait()
        del self._processes[worker_id]
        self._tell_guard("-", process.pid)
        self.on_exit(worker_id, exit_code, "")

    def _tell_guard(self, sign: str, pid: int) -> None:
        assert self._to_guard is not None
        group = "g" if self._use_process_groups else "p"
        self._to_guard.send(f"{sign}{group}{pid}\n".encode())


def _close(connection: Any) -> None:
    connection.close()
