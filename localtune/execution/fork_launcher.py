"""ForkLauncher: forks workers from warm templates. Linux.

A template serves the trials that ask for the same number of CPUs: numerical libraries read their
number of threads when they are loaded, which the template does.

It is asked for a few workers at a time, and for the next one when it has answered. So what is on
its way to it, descriptors included, always has room, and the parent never waits for it to read::

    launch --> unsent --[fewer than _MOST_ASKED]--> asked --"started", "not started"--> running
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from typing import Any

from localtune.execution import template as tp
from localtune.execution.interpreter import bootstrap, popen
from localtune.execution.launcher import LAST_BREATH_S, ExitHandler, Launcher, Program
from localtune.execution.waiter import Waiter

logger = logging.getLogger(__name__)

# As many are asked for at a time: enough to keep a template busy, and few enough for any limit on
# descriptors that are on their way.
_MOST_ASKED = 16
# A template that has to report an end, and has reported nothing for so long, will not.
_STUCK_S = 10.0


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
        try:
            client.fork(worker_id, theirs)
        except OSError:
            ours.close()
            theirs.close()
            self._forget(worker_id)
            raise
        return ours

    def send_signal(self, worker_id: int, signum: int) -> None:
        client = self._owners.get(worker_id)
        if client is not None:
            client.send_signal(worker_id, signum)

    def withdraw(self, worker_id: int) -> bool:
        client = self._owners.get(worker_id)
        return client is not None and client.withdraw(worker_id)

    def give_up(self, worker_id: int) -> None:
        client = self._owners.get(worker_id)
        if client is not None:
            client.kill_if_stuck()

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
        self._forget(worker_id)
        self.on_exit(worker_id, exit_code, note)

    def _forget(self, worker_id: int) -> None:
        del self._owners[worker_id]
        self.output_fds.pop(worker_id, None)

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
        unsent, old.unsent = old.unsent, {}
        self._templates = {key: each for key, each in self._templates.items() if each is not old}
        old.close()
        for worker_id, theirs in waiting.items():
            is_innocent = old.was_refused or (old.was_loaded and worker_id in unsent)
            if is_innocent or (old.was_loaded and worker_id not in self._retried):
                if not is_innocent:
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
            client.fork(worker_id, theirs)
        except OSError as error:
            theirs.close()
            self.exited(worker_id, None, f"it could not be started: {error}")
            return
        self._owners[worker_id] = client
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
        self.unsent: dict[int, None] = {}  # of these, those that were not asked for yet, in order
        self.early_signals: dict[int, int] = {}  # {worker id: signal for it when it has started}
        self.was_loaded = False
        self.was_refused = False
        self.problem = ""
        self.exit_code: int | None = None
        self._pidfds: dict[int, int] = {}
        self._asked: set[int] = set()  # workers that it has not answered for
        self._cancelled: set[int] = set()  # of these, those that nobody wants any more
        self._heard_at = time.monotonic()
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
        self._control.setblocking(False)
        launcher.waiter.register(self._control, self._on_packet)

    def fork(self, worker_id: int, theirs: Any) -> None:
        """Asks for a worker that talks through ``theirs``.

        Raises:
            OSError: if the system refuses to pass descriptors on.
        """
        # Kept open until the template says that it has forked, so that another one can take over.
        self.waiting[worker_id] = theirs
        self.unsent[worker_id] = None
        try:
            self._ask()
        except OSError:
            del self.waiting[worker_id], self.unsent[worker_id]
            raise

    def _ask(self) -> None:
        """Asks for the next workers, as many as may be asked for.

        Raises:
            OSError: if the system refuses to pass descriptors on, and no answer will come after
                which it might be tried again.
        """
        while self.unsent and len(self._asked) < _MOST_ASKED:
            worker_id = next(iter(self.unsent))
            packet = tp.HEADER.pack(tp.FORK, worker_id, 0)
            fds = [self.waiting[worker_id].fileno()]
            if worker_id in self._launcher.output_fds:
                fds.append(self._launcher.output_fds[worker_id])
            try:
                socket.send_fds(self._control, [packet], fds)
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS and not self._asked:
                    raise
                # It has something to answer before; or it has died, which its reader notices.
                return
            del self.unsent[worker_id]
            self._asked.add(worker_id)

    def _ask_again(self) -> None:
        while True:
            try:
                self._ask()
            except OSError as error:
                self._not_started(next(iter(self.unsent)), str(error))
            else:
                return

    def withdraw(self, worker_id: int) -> bool:
        """Takes a worker back that the template was not asked for yet; whether it could be."""
        if worker_id not in self.unsent:
            return False
        self._drop(worker_id)
        return True

    def _drop(self, worker_id: int) -> None:
        self.unsent.pop(worker_id, None)
        self.waiting.pop(worker_id).close()
        self._launcher.exited(worker_id, -signal.SIGKILL)

    def send_signal(self, worker_id: int, signum: int) -> None:
        pidfd = self._pidfds.get(worker_id)
        if pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signum)
        elif self.withdraw(worker_id) or worker_id not in self.waiting:
            return
        elif signum == signal.SIGKILL and not self.was_loaded:
            # Nobody knows whether the template, which may hang in an import, ever forks it.
            self._cancelled.add(worker_id)
            self._drop(worker_id)
        else:
            self.early_signals[worker_id] = signum

    def kill_if_stuck(self) -> None:
        """Kills the template, which has an end to report, if it has reported nothing for long."""
        if time.monotonic() - self._heard_at > _STUCK_S:
            logger.warning("The template process %d reports nothing: killed.", self._process.pid)
            self._process.kill()

    def bury_all(self) -> list[int]:
        """Waits for the ends of all workers after the template's; returns their ids."""
        give_up_at = time.monotonic() + LAST_BREATH_S
        for worker_id, pid in self.pids.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            ended = select.poll()
            ended.register(self._pidfds[worker_id], select.POLLIN)
            ended.poll(max(give_up_at - time.monotonic(), 0.0) * 1000)
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
        except BlockingIOError:
            return
        except ConnectionResetError:
            # The template has ended without reading all of its packets. This is told first, and
            # once; what it had to say comes after it.
            packet, fds = self._receive()
        if not packet:
            self._launcher.lost(self)
            return
        self._heard_at = time.monotonic()
        kind, worker_id, number = tp.HEADER.unpack_from(packet)
        self._asked.discard(worker_id)
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
            self._not_started(worker_id, text)
        elif kind == tp.LOADED:
            self.was_loaded = True
        elif kind == tp.BROKEN:
            self.problem = text
        elif kind == tp.REFUSED:
            self.was_refused = True
            self._launcher.refused(self, text)
            return
        self._ask_again()

    def _not_started(self, worker_id: int, reason: str) -> None:
        self.unsent.pop(worker_id, None)
        self.waiting.pop(worker_id).close()
        self._launcher.exited(worker_id, None, f"it could not be started: {reason}")

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
