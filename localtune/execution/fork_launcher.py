"""ForkLauncher: forks workers from warm templates. Linux.

A template serves the trials that ask for the same number of CPUs: numerical libraries read their
number of threads when they are loaded, which the template does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping
from multiprocessing import Pipe
from typing import Any

from localtune.execution import template as tp
from localtune.execution.interpreter import bootstrap, popen
from localtune.execution.launcher import LAST_BREATH_S, ExitHandler, Launcher, Program
from localtune.execution.waiter import Waiter

logger = logging.getLogger(__name__)


class ForkLauncher(Launcher):
    """Forks workers from templates."""

    def __init__(self, program: Program, waiter: Waiter, on_exit: ExitHandler) -> None:
        super().__init__(program, waiter, on_exit)
        self._templates: dict[tuple[tuple[str, str], ...], _TemplateClient] = {}
        self._owners: dict[int, _TemplateClient] = {}  # {worker id: its template}
        self.output_fds: dict[int, int] = {}  # {worker id: where it prints to}
        self._bare = False
        self._retried: set[int] = set()  # workers that were to be forked when a template died

    def launch(
        self, worker_id: int, environment: Mapping[str, str], output_fd: int | None = None
    ) -> Any:
        client = self._template(environment)
        ours, theirs = Pipe()
        self._owners[worker_id] = client
        if output_fd is not None:
            self.output_fds[worker_id] = output_fd
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
        self.output_fds.pop(worker_id, None)
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
        for worker_id in client.bury_all():
            self.exited(worker_id, None, "its template process was killed, and it with it")
        self._take_over(client)

    def _take_over(self, old: _TemplateClient) -> None:
        """Lets a new template fork what the old one had not forked yet."""
        waiting, old.waiting = old.waiting, {}
        self._templates = {key: each for key, each in self._templates.items() if each is not old}
        old.close()
        for worker_id, theirs in waiting.items():
            if old.was_refused or (old.was_loaded and worker_id not in self._retried):
                if not old.was_refused:
                    self._retried.add(worker_id)
                self._move(worker_id, theirs, old)
            else:
                # It died while it was starting, or again: the next one would, too.
                theirs.close()
                note = old.problem or "the template process ended before it started the worker"
                self.exited(worker_id, None if old.problem else old.exit_code, note)

    def _move(self, worker_id: int, theirs: Any, old: _TemplateClient) -> None:
        try:
            client = self._template(old.environment)
        except OSError as error:
            theirs.close()
            self.exited(worker_id, None, f"its template could not be started: {error}")
            return
        self._owners[worker_id] = client
        client.fork(worker_id, theirs)
        signum = old.early_signals.get(worker_id)
        if signum is not None:
            client.send_signal(worker_id, signum)


class _TemplateClient:
    """The parent's side of one template process."""

    def __init__(
        self, launcher: ForkLauncher, settings: dict[str, Any], environment: Mapping[str, str]
    ) -> None:
        self._launcher = launcher
        self.environment = environment
        self.pids: dict[int, int] = {}  # {worker id: pid}
        self.waiting: dict[int, Any] = {}  # {worker id: the worker's end of its pipe}
        self.early_signals: dict[int, int] = {}  # {worker id: signal for it when it has started}
        self.was_loaded = False
        self.was_refused = False
        self.problem = ""
        self.exit_code: int | None = None
        self._pidfds: dict[int, int] = {}
        self._cancelled: set[int] = set()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            try:
                code = bootstrap("localtune.execution.template:main", number, settings)
                self._process = popen(
                    code, environment, launcher.program.output_fd, pass_fds=(number,)
                )
            except BaseException:
                self._control.close()
                raise
        launcher.waiter.register(self._control, self._on_packet)

    def fork(self, worker_id: int, theirs: Any) -> None:
        """Asks for a worker that talks through ``theirs``."""
        # Kept open until the template says that it has forked, so that another one can take over.
        self.waiting[worker_id] = theirs
        packet = tp.HEADER.pack(tp.FORK, worker_id, 0)
        fds = [theirs.fileno()]
        if worker_id in self._launcher.output_fds:
            fds.append(self._launcher.output_fds[worker_id])
        # A template that has just died is noticed by the reader.
        with contextlib.suppress(OSError):
            socket.send_fds(self._control, [packet], fds)

    def send_signal(self, worker_id: int, signum: int) -> None:
        pidfd = self._pidfds.get(worker_id)
        if pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signum)
        elif worker_id in self.waiting and signum == signal.SIGKILL and not self.was_loaded:
            # Nobody knows whether the template, which may hang in an import, ever forks it.
            self.waiting.pop(worker_id).close()
            self._cancelled.add(worker_id)
            self._launcher.exited(worker_id, -signum)
        elif worker_id in self.waiting:
            self.early_signals[worker_id] = signum

    def bury_all(self) -> list[int]:
        """Waits for the ends of all workers after the template's; returns their ids."""
        for worker_id, pid in self.pids.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            ended = select.poll()
            ended.register(self._pidfds[worker_id], select.POLLIN)
            ended.poll(LAST_BREATH_S * 1000)
        worker_ids = list(self.pids)
        self.pids.clear()
        return worker_ids

    def close(self) -> None:
        self._launcher.waiter.unregister(self._control)
        self._control.close()
        for theirs in self.waiting.values():
            theirs.close()
        for pidfd in self._pidfds.values():
            os.close(pidfd)
        if not self.was_loaded and not self.was_refused:
            # It may hang in an import, and has no workers to kill.
            self._process.kill()
        try:
            # The closed socket tells it to kill its workers and to end.
            self.exit_code = self._process.wait(timeout=LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()

    def _on_packet(self) -> None:
        try:
            packet, fds = self._receive()
        except ConnectionResetError:
            # The template has ended without reading all of its packets. This is told first, and
            # once; what it had to say comes after it.
            packet, fds = self._receive()
        if not packet:
            self._launcher.lost(self)
            return
        kind, worker_id, number = tp.HEADER.unpack_from(packet)
        text = packet[tp.HEADER.size :].decode(errors="replace")
        if worker_id in self._cancelled:
            for pidfd in fds:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.close(pidfd)
        elif kind == tp.STARTED:
            self._started(worker_id, number, fds[0])
        elif kind == tp.EXITED:
            os.close(self._pidfds.pop(worker_id))
            del self.pids[worker_id]
            self._launcher.exited(worker_id, number)
        elif kind == tp.NOT_STARTED:
            self.waiting.pop(worker_id).close()
            self._launcher.exited(worker_id, None, f"it could not be started: {text}")
        elif kind == tp.LOADED:
            self.was_loaded = True
        elif kind == tp.BROKEN:
            self.problem = text
        elif kind == tp.REFUSED:
            self.was_refused = True
            self._launcher.refused(self, text)

    def _receive(self) -> tuple[bytes, list[int]]:
        packet, fds, _, _ = socket.recv_fds(self._control, tp.MAX_PACKET_BYTES, 1)
        return packet, fds

    def _started(self, worker_id: int, pid: int, pidfd: int) -> None:
        self.waiting.pop(worker_id).close()
        self.pids[worker_id] = pid
        self._pidfds[worker_id] = pidfd
        signum = self.early_signals.pop(worker_id, None)
        if signum is not None:
            self.send_signal(worker_id, signum)
