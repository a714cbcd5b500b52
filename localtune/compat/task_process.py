"""A process that carries out calls of remote functions, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import Pipe
from typing import Any

from localtune.execution.process.descriptors import users_limit
from localtune.execution.process.interpreter import bootstrap, popen_with_pipe
from localtune.execution.process.launcher import HAS_GROUPS
from localtune.utils.files import current_directory
from localtune.utils.processes import kill_tree
from localtune.worker.lifeline import END_TIMEOUT_S
from localtune.worker.pipe import message_pipe


class TaskProcess:
    """The parent's view of a task process.

    Args:
        directory: Directory of the objects.
        preparation: What the process loads first.
        environment: Variables for the process.

    Raises:
        OSError: if the operating system refuses to start it.
    """

    def __init__(self, directory: str, preparation: bytes, environment: Mapping[str, str]) -> None:
        ours, theirs = Pipe()
        here = current_directory() or os.sep
        settings = {
            "private_dir": directory,
            "preparation": preparation,
            "sys_path": [os.path.join(here, entry) for entry in sys.path],
            "argv": list(sys.argv),
            "open_files": users_limit(),
        }
        try:
            with theirs:
                number = theirs.fileno()
                code = bootstrap("localtune.compat.task_server:main", number, settings)
                self._process: subprocess.Popen[bytes] = popen_with_pipe(code, environment, number)
        except BaseException:
            ours.close()
            raise
        self._pipe = message_pipe(ours)
        self._sending = threading.Lock()

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def carry_out(self, message: Mapping[str, Any]) -> bool:
        """Has a call carried out, and waits for its end.

        Args:
            message: The call.

        Returns:
            Whether the process has survived it.
        """
        try:
            self._send(message)
            self._pipe.receive()
        except (OSError, EOFError):
            return False
        return True

    def cancel(self, number: int) -> None:
        """Raises KeyboardInterrupt in a call, if it still runs.

        Args:
            number: The call.
        """
        with contextlib.suppress(OSError):
            self._send({"cancel": number})

    def kill(self) -> None:
        """Kills the process and what it has started."""
        kill_tree(self._process.pid, group=HAS_GROUPS)

    def close(self) -> None:
        """Ends the process; returns when it has ended."""
        self._pipe.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            self._pipe.send(json.dumps(message).encode())
