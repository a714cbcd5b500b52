"""Launcher: starts, signals and ends worker processes.

::

    ForkLauncher (Linux)                          SpawnLauncher (everywhere)

      parent                                        parent ------ guard (kills the workers
        |-- guard (outlives the run)                  |             if the parent dies)
              |-- base (imported modules)             |-- worker
              |-- template (1 thread per worker)      +-- worker
              |     |-- worker
              |     +-- worker
              |-- base
              +-- template (2 threads per worker)
                    +-- worker
"""

from __future__ import annotations

import os
import pkgutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localtune.execution.executor import WorkerExit
from localtune.execution.process.descriptors import users_limit
from localtune.execution.process.waiter import Waiter
from localtune.utils.files import current_directory


@dataclass(frozen=True, slots=True)
class Program:
    """The program of the workers.

    Attributes:
        path: File with the pickled trainable, in ``private_dir``.
        private_dir: Directory that only this user can read.
        preload: Modules for the template to import in place of the trainable; None is the
            trainable itself, and ``imports``.
        imports: Modules that trials will import, each with the names that are imported from it.
        outputs: Descriptors for the output and the errors of processes without their own; None is
            this process's output.
        lease_fd: A descriptor that each worker keeps open to its end; None is none. It holds a lock
            (see ``execution/shared/``).
    """

    path: str
    private_dir: str
    preload: tuple[str, ...] | None = None
    imports: tuple[tuple[str, tuple[str, ...]], ...] = ()
    outputs: tuple[int, int] | None = None
    lease_fd: int | None = None


HAS_GROUPS = hasattr(os, "killpg")

ExitHandler = Callable[[int, WorkerExit], None]


class Launcher(ABC):
    """Starts and signals worker processes, and reports their ends.

    Args:
        program: The program of the workers.
        waiter: Watches the sources that the launcher registers.
        on_exit: Called as ``on_exit(worker_id, exit)``, once per launched worker, when its process
            and all its descendants have ended.
    """

    def __init__(self, program: Program, waiter: Waiter, on_exit: ExitHandler) -> None:
        self.program = program
        self.waiter = waiter
        self.on_exit = on_exit

    @abstractmethod
    def launch(
        self, worker_id: int, environment: Mapping[str, str], output_fd: int | None = None
    ) -> Any:
        """Starts a worker; does not wait for it.

        Args:
            worker_id: Never used before.
            environment: Variables that must be set before libraries are loaded.
            output_fd: Descriptor for its output, open until it has ended; None is this process's
                own output.

        Returns:
            The parent's end of the pipe.

        Raises:
            OSError: if the operating system refuses.
        """

    @abstractmethod
    def send_signal(self, worker_id: int, signum: int) -> None:
        """Sends a signal to a worker; does nothing if the worker has ended.

        Args:
            worker_id: The worker.
            signum: Number of the signal. SIGKILL also goes to all processes that it started.
        """

    def withdraw(self, worker_id: int) -> bool:
        """Cancels a launch that has not begun; its exit is reported.

        Returns:
            Whether the launch was cancelled.
        """
        return False

    def look_after_start(self) -> float | None:
        """Continues processes of the launcher that were stopped before they could start a worker.

        Returns:
            Seconds until it wants to be called again; None while none of them starts.
        """
        return None

    def give_up(self, worker_id: int) -> None:
        """Ends the process that does not report the end of a worker long after SIGKILL."""
        return

    @abstractmethod
    def process_ids(self) -> dict[int, int]:
        """Returns {worker id: process id} of the workers that have started and not ended."""

    @abstractmethod
    def close(self) -> None:
        """Ends the processes of the launcher itself. All workers must have ended."""

    def _settings(self) -> dict[str, Any]:
        return {
            "program": self.program.path,
            "private_dir": self.program.private_dir,
            "preload": self.program.preload,
            "parent_pid": os.getpid(),
            "sys_path": search_path(),
            "argv": list(sys.argv),
            "open_files": users_limit(),
        }


def search_path() -> list[str]:
    """Returns ``sys.path`` for a process that works in another directory."""
    here = current_directory() or os.sep
    return [_absolute(entry, here) for entry in sys.path]


def _absolute(entry: str, here: str) -> str:
    path = os.path.join(here, entry)
    # Editable installations find namespace packages by an entry that is no path: a hook takes it.
    if not os.path.exists(path) and pkgutil.get_importer(entry) is not None:
        return entry
    return path
