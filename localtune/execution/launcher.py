"""How worker processes come to life and end. The only file that knows start methods.

::

    ForkLauncher (Linux)                        SpawnLauncher (everywhere)

      parent                                      parent ------ guard (kills the workers
        |-- template (1 thread per worker)          |             if the parent dies)
        |     |-- worker                            |-- worker
        |     +-- worker                            +-- worker
        +-- template (2 threads per worker)
              +-- worker

A template serves the trials that ask for the same number of CPUs: numerical libraries read their
number of threads when they are loaded, which the template does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Any

from localtune.error import WorkerStartError
from localtune.execution import template as tp
from localtune.execution.guard import kill_tree
from localtune.execution.waiter import Waiter

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What workers run.

    Attributes:
        path: File with the pickled trainable, in ``private_dir``.
        private_dir: Directory that only this user can read.
        preload: Modules for the template to import in place of the trainable; None is the
            trainable itself.
    """

    path: str
    private_dir: str
    preload: tuple[str, ...] | None = None


# template: forked from a warm process (Linux). spawn: a fresh interpreter. portable: the same with
# nothing but what every platform has (no process groups, no process descriptors).
START_METHODS = ("template", "spawn", "portable")

ExitHandler = Callable[[int, "int | None", str], None]


class Launcher(ABC):
    """Starts, signals and buries worker processes.

    Args:
        program: What workers run.
        waiter: Where the launcher registers what it needs to watch.
        on_exit: Called as ``on_exit(worker_id, exit_code, note)``, once per launched worker, when
            its process and all that it left behind have ended. The exit code is negative for a
            signal and None if it is not known; the note says why, where that helps.
    """

    def __init__(self, program: Program, waiter: Waiter, on_exit: ExitHandler) -> None:
        self.program = program
        self.waiter = waiter
        self.on_exit = on_exit

    @abstractmethod
    def launch(self, worker_id: int, environment: Mapping[str, str]) -> Any:
        """Starts a worker; does not wait for it.

        Args:
            worker_id: Never used before.
            environment: Variables that must be set before libraries are loaded.

        Returns:
            The parent's end of the pipe.

        Raises:
            WorkerStartError: if the operating system refuses.
        """

    @abstractmethod
    def send_signal(self, worker_id: int, signum: int) -> None:
        """Signals a worker (SIGKILL: with all that it started). Nothing if it has ended."""

    @abstractmethod
    def process_ids(self) -> dict[int, int]:
        """{worker id: process id} of the workers that have started and not ended."""

    @abstractmethod
    def close(self) -> None:
        """Ends what the launcher itself runs. All workers must have ended."""

    def _settings(self) -> dict[str, Any]:
        cwd = os.getcwd()
        return {
            "program": self.program.path,
            "private_dir": self.program.private_dir,
            "preload": self.program.preload,
            "parent_pid": os.getpid(),
            "sys_path": [os.path.join(cwd, entry) for entry in sys.path],
            "argv": list(sys.argv),
        }


def make_launcher(
    start_method: str | None, program: Program, waiter: Waiter, on_exit: ExitHandler
) -> Launcher:
    """The launcher for a start method.

    Args:
        start_method: One of :data:`START_METHODS`, or None for the best that works here.
        program: What workers run.
        waiter: See :class:`Launcher`.
        on_exit: See :class:`Launcher`.

    Raises:
        ValueError: for one that does not work here.
    """
    if start_method == "portable":
        return SpawnLauncher(
            program, waiter, on_exit, use_process_groups=False, use_pidfd=False
        )
    if start_method == "spawn":
        return SpawnLauncher(program, waiter, on_exit)
    reason = why_no_template()
    if not reason:
        return ForkLauncher(program, waiter, on_exit)
    if start_method == "template":
        raise ValueError(f"start_method='template' does not work here: {reason}. Use 'spawn'.")
    return SpawnLauncher(program, waiter, on_exit)


def why_no_template() -> str:
    """What this machine lacks for a template; "" if nothing."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux, and this is {sys.platform}"
    if not _has_pidfd():
        return "the kernel offers no process descriptors (pidfd_open)"
    return ""


def _has_pidfd() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _interpreter(code: str) -> list[str]:
    """Command line of a fresh interpreter like this one that runs ``code``."""
    package_home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # The package may be importable only through the parent's sys.path.
    return [sys.executable, *flags, "-c", f"import sys; sys.path.insert(0, {package_home!r}); {code}"]


# -- warm fork --------------------------------------------------------------------------------------


class ForkLauncher(Launcher):
    """Forks workers from templates."""

    def __init__(self, program: Program, waiter: Waiter, on_exit: ExitHandler) -> None:
        super().__init__(program, waiter, on_exit)
        self._templates: dict[tuple[tuple[str, str], ...], _TemplateClient] = {}
        self._owners: dict[int, _TemplateClient] = {}  # {worker id: its template}
        self._bare = False

    def launch(self, worker_id: int, environment: Mapping[str, str]) -> Any:
        ours, theirs = Pipe()
        client = self._template(environment)
        self._owners[worker_id] = client
        client.fork(worker_id, theirs)
        return ours

    def send_signal(self, worker_id: int, signum: int) -> None:
        client = self._owners.get(worker_id)
        if client is not None:
            client.send_signal(worker_id, signum)

    def process_ids(self) -> dict[int, int]:
        return {
            worker_id: pid
            for client in self._templates.values()
            for worker_id, pid in client.pids.items()
        }

    def close(self) -> None:
        for client in self._templates.values():
            client.close()
        self._templates.clear()

    def _template(self, environment: Mapping[str, str]) -> _TemplateClient:
        key = tuple(sorted(environment.items()))
        client = self._templates.get(key)
        if client is None:
            settings = self._settings()
            if self._bare:
                settings["preload"] = ()
            client = _TemplateClient(self, settings, environment)
            self._templates[key] = client
        return client

    def exited(self, worker_id: int, exit_code: int | None, note: str = "") -> None:
        """Called by a template's client when a worker has ended."""
        del self._owners[worker_id]
        self.on_exit(worker_id, exit_code, note)

    def refused(self, client: _TemplateClient, reason: str) -> None:
        """Called by a client whose template must not fork: one that preloads nothing takes over."""
        if not self._bare:
            self._bare = True
            logger.warning(
                "Each worker loads the trainable by itself, which takes longer: %s. To import "
                "selected modules once instead, pass ProcessExecutor(preload=[...]).",
                reason,
            )
        self._take_over(client)

    def lost(self, client: _TemplateClient) -> None:
        """Called by a client whose template has died: the kernel kills its workers."""
        for worker_id, pid in list(client.pids.items()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            self.exited(worker_id, None, "its template process was killed, and it with it")
        self._take_over(client)

    def _take_over(self, old: _TemplateClient) -> None:
        """Lets a new template fork what the old one had not forked yet."""
        waiting = old.waiting
        old.waiting = {}
        environment = old.environment
        self._templates = {key: each for key, each in self._templates.items() if each is not old}
        old.close()
        for worker_id, theirs in waiting.items():
            if old.was_loaded or old.was_refused:
                client = self._template(environment)
                self._owners[worker_id] = client
                client.fork(worker_id, theirs)
            else:
                # It died while it was starting: another one would, too.
                theirs.close()
                self.exited(worker_id, old.exit_code, "the template process ended at its start")


class _TemplateClient:
    """The parent's side of one template process."""

    def __init__(
        self, launcher: ForkLauncher, settings: dict[str, Any], environment: Mapping[str, str]
    ) -> None:
        self._launcher = launcher
        self.environment = environment
        self.pids: dict[int, int] = {}  # {worker id: pid}
        self.waiting: dict[int, Any] = {}  # {worker id: the worker's end of its pipe}
        self.was_loaded = False
        self.was_refused = False
        self.exit_code: int | None = None
        self._pidfds: dict[int, int] = {}
        self._early_signals: dict[int, int] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = _popen(
                f"from localtune.execution.template import main; main({theirs.fileno()})",
                environment,
                pass_fds=(theirs.fileno(),),
            )
        self._control = ours
        ours.send(pickle.dumps(settings))
        launcher.waiter.register(ours, self._on_packet)

    def fork(self, worker_id: int, theirs: Any) -> None:
        """Asks for a worker that talks through ``theirs``."""
        # Kept open until the template says that it has forked, so that another one can take over.
        self.waiting[worker_id] = theirs
        packet = tp.HEADER.pack(tp.FORK, worker_id, 0)
        # A template that has just died is noticed by the reader.
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [packet], [theirs.fileno()])

    def send_signal(self, worker_id: int, signum: int) -> None:
        pidfd = self._pidfds.get(worker_id)
        if pidfd is None:
            self._early_signals[worker_id] = signum
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signum)

    def close(self) -> None:
        if self._control.fileno() >= 0:
            self._launcher.waiter.unregister(self._control)
            self._control.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        self._pidfds.clear()
        try:
            # The closed socket tells it to kill its workers and to end.
            self.exit_code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()

    def _on_packet(self) -> None:
        try:
            packet, fds, _, _ = socket.recv_fds(self._control, tp.MAX_PACKET_BYTES, 1)
        except OSError:
            packet, fds = b"", []
        if not packet:
            self._launcher.lost(self)
            return
        kind, worker_id, number = tp.HEADER.unpack_from(packet)
        if kind == tp.STARTED:
            self._started(worker_id, number, fds[0])
        elif kind == tp.EXITED:
            os.close(self._pidfds.pop(worker_id))
            del self.pids[worker_id]
            self._launcher.exited(worker_id, number)
        elif kind == tp.LOADED:
            self.was_loaded = True
        elif kind == tp.REFUSED:
            self.was_refused = True
            self._launcher.refused(self, packet[tp.HEADER.size :].decode())

    def _started(self, worker_id: int, pid: int, pidfd: int) -> None:
        self.waiting.pop(worker_id).close()
        self.pids[worker_id] = pid
        self._pidfds[worker_id] = pidfd
        signum = self._early_signals.pop(worker_id, None)
        if signum is not None:
            self.send_signal(worker_id, signum)


# -- fresh interpreters -----------------------------------------------------------------------------


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
        self._use_pidfd = _has_pidfd() if use_pidfd is None else use_pidfd
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def launch(self, worker_id: int, environment: Mapping[str, str]) -> Any:
        if self._guard is None:
            self._guard = _popen(
                "from localtune.execution.guard import main; main()",
                {},
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        ours, theirs = Pipe()
        with theirs:
            process = self._spawn(theirs, environment)
        self._processes[worker_id] = process
        self._tell_guard("+", process.pid)
        settings = self._settings()
        settings["worker_id"] = worker_id
        settings["own_group"] = self._use_process_groups
        with contextlib.suppress(OSError):
            ours.send_bytes(pickle.dumps(settings))
        self._watch(worker_id, process)
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
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None

    def _spawn(self, theirs: Any, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        number = theirs.fileno()
        code = f"from localtune.worker.main import main_spawned; main_spawned({number})"
        if sys.platform == "win32":
            os.set_handle_inheritable(number, True)
            startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [number]})
            return _popen(code, environment, startupinfo=startup)
        return _popen(
            code,
            environment,
            pass_fds=(number,),
            start_new_session=self._use_process_groups,
        )

    def _watch(self, worker_id: int, process: subprocess.Popen[bytes]) -> None:
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
        assert self._guard is not None and self._guard.stdin is not None
        group = "g" if self._use_process_groups else "p"
        with contextlib.suppress(OSError):
            self._guard.stdin.write(f"{sign}{group}{pid}\n".encode())
            self._guard.stdin.flush()


def _close(connection: Any) -> None:
    connection.close()


def _popen(code: str, environment: Mapping[str, str], **options: Any) -> subprocess.Popen[bytes]:
    if sys.platform != "win32":
        options.setdefault("start_new_session", True)
    # Nobody types into a worker, and the parent's own input may be its script.
    options.setdefault("stdin", subprocess.DEVNULL)
    try:
        return subprocess.Popen(_interpreter(code), env={**os.environ, **environment}, **options)
    except OSError as error:
        raise WorkerStartError(f"A process could not be started: {error}") from error
