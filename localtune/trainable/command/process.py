"""ProgramProcess: the process of a program, with all that it starts.

::

    start --> runs <--- hold, release ---> stopped by a signal
                |
                +-- ends by itself ---------------------------> end_rest: what it has left is killed
                +-- end: polite signal, grace time, kill -----> end_rest

The process leads a session of its own, and carries a mark in its environment, which what it starts
inherits. So nothing escapes: neither a background job nor a process that has left the session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.utils.processes import end_marked, environment_with, kill_tree, new_mark

_IS_WINDOWS = os.name == "nt"
# Seconds between two looks at a process that is about to end.
_CHECK_S = 0.02


class ProgramProcess:
    """A running program.

    Args:
        command: Program and arguments, or a text for the shell.
        shell: Whether ``command`` is for the shell.
        cwd: Its working directory.
        environment: Its environment.
        pass_fds: Descriptors that it inherits.
        takes_input: Whether its standard input is a pipe from this process; else it is empty.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str] | str,
        *,
        shell: bool,
        cwd: str,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        takes_input: bool = False,
    ) -> None:
        self._mark = new_mark()
        self._turn = threading.Lock()
        self._holds = 0
        self._is_over = False
        options: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if _IS_WINDOWS
            else {"start_new_session": True, "pass_fds": tuple(pass_fds)}
        )
        self._process = subprocess.Popen(
            command,
            shell=shell,
            cwd=cwd,
            env={**environment, **environment_with(self._mark)},
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            **options,
        )

        if self._process.stdin is not None and not _IS_WINDOWS:
            # It may never read.
            os.set_blocking(self._process.stdin.fileno(), False)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def output_fds(self) -> tuple[int, int]:
        """Descriptors of its standard output and its standard error."""
        assert self._process.stdout is not None and self._process.stderr is not None
        return self._process.stdout.fileno(), self._process.stderr.fileno()

    def wait(self, timeout_s: float) -> int | None:
        """Waits for the end of the process.

        Args:
            timeout_s: Most seconds to wait.

        Returns:
            The exit code, negative for the number of a signal; None if it has not ended.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def poll(self) -> int | None:
        """Returns the exit code as :meth:`wait` does; None if the process has not ended."""
        return self._process.poll()

    def write(self, line: bytes) -> None:
        """Writes a line to its standard input; the line is dropped if the process does not read."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line)

    def hold(self) -> None:
        """Stops the process and its group until as many calls of :meth:`release` have followed."""
        with self._turn:
            self._holds += 1
            if self._holds == 1:
                self._suspend()

    def release(self) -> None:
        """Lets the process continue after :meth:`hold`."""
        with self._turn:
            self._holds -= 1
            if self._holds == 0:
                self._resume()

    def writes_below(self, directory: str) -> bool:
        """Tells whether a file below a directory is open for writing.

        Args:
            directory: Absolute path.

        Returns:
            False also on a platform that does not tell it.
        """
        import psutil

        for each in self._family():
            with contextlib.suppress(psutil.Error, OSError):
                for file in each.open_files():
                    is_written = getattr(file, "mode", "r") != "r"
                    if is_written and file.path.startswith(os.path.join(directory, "")):
                        return True
        return False

    def end(self, grace_s: float, *, polite: bool = True) -> None:
        """Ends the process and all that it has started.

        Args:
            grace_s: Most seconds in which it may end by itself.
            polite: Whether it is told by a signal; else it knows already.
        """
        try:
            with self._turn:
                self._holds = 0
                if polite:
                    self._tell_to_end()
                self._resume()
            self.wait(grace_s)
        finally:
            self.end_rest()

    def end_rest(self) -> None:
        """Kills what is left of the process and of all that it has started."""
        if self._is_over:
            return
        if self._process.poll() is None:
            kill_tree(self.pid, group=not _IS_WINDOWS)
            self._process.wait()
        end_marked(self._mark)
        self._is_over = True

    def close(self) -> None:
        """Closes the pipes; the process must have ended."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _suspend(self) -> None:
        if not _IS_WINDOWS:
            self._signal_group(signal.SIGSTOP)
            self._wait_until_stopped()
            return
        for each in self._family():
            with contextlib.suppress(Exception):
                each.suspend()

    def _wait_until_stopped(self) -> None:
        if hasattr(os, "waitid") and self._process.poll() is None:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def _resume(self) -> None:
        if not _IS_WINDOWS:
            self._signal_group(signal.SIGCONT)
            return
        for each in self._family():
            with contextlib.suppress(Exception):
                each.resume()

    def _tell_to_end(self) -> None:
        if not _IS_WINDOWS:
            self._signal_group(signal.SIGTERM)
        elif self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined]

    def _signal_group(self, number: int) -> None:
        # Once the leader has been waited for, its id may belong to another process.
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _family(self) -> list[Any]:
        import psutil

        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def wait_for_threads(threads: Sequence[threading.Thread], timeout_s: float) -> bool:
    """Waits until threads have ended.

    Args:
        threads: The threads.
        timeout_s: Most seconds to wait for all of them.

    Returns:
        Whether they have ended.
    """
    give_up_at = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(give_up_at - time.monotonic(), 0.0))
    return not any(thread.is_alive() for thread in threads)
