"""ForkLauncher: starts workers through templates, and templates through a guard. Linux.

There is a template for each number of CPUs that trials request, because numerical libraries read
their number of threads when the template loads them.
"""

from __future__ import annotations

import itertools
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.execution.executor import WorkerExit
from localtune.execution.process.descriptors import users_limit
from localtune.execution.process.guard_client import GuardClient
from localtune.execution.process.launcher import ExitHandler, Launcher, Program
from localtune.execution.process.program_modules import modules_of
from localtune.execution.process.surroundings import fleeting_variables, surroundings
from localtune.execution.process.template_client import Observer, TemplateClient, not_started
from localtune.execution.process.waiter import Waiter
from localtune.execution.process.warm import IDLE_S, keeper
from localtune.utils.messages import get_logger
from localtune.worker.pipe import Descriptor
from localtune.worker.program import dumps_preparation

logger = get_logger(__name__)

# Most seconds for a module that the template imports apart from the trainable.
_IMPORT_LIMIT_S = 120.0
# Seconds between two looks after a guard and a template that have not begun yet.
_LOOK_S = 1.0
# After so many imports that failed, the next template does without any.
_MOST_FAULTS = 3
# They are sent in one packet, with other settings.
_MOST_BYTES_OF_IMPORTS = 16_000


class ForkLauncher(Launcher, Observer):
    """Starts workers through templates.

    Args:
        program: See :class:`Launcher`.
        waiter: See :class:`Launcher`.
        on_exit: See :class:`Launcher`.
        is_warm: Whether templates load the trainable once for all workers; else each worker is a
            fresh interpreter.
    """

    def __init__(
        self, program: Program, waiter: Waiter, on_exit: ExitHandler, *, is_warm: bool = True
    ) -> None:
        super().__init__(program, waiter, on_exit)
        self._is_warm = is_warm
        self._guard: GuardClient | None = None
        self._templates: dict[tuple[tuple[str, str], ...], TemplateClient] = {}
        self._owners: dict[int, TemplateClient] = {}  # {worker id: its template}
        self._preload = program.preload
        self._imports = _first_of(program.imports) if program.preload is None else ()
        self._faults: dict[str, str] = {}  # {module: why the template cannot import it}
        self._modules_of_program: tuple[str, ...] | None = None
        self._surroundings: object = None  # as they were when the guard started
        self._looks_at = time.monotonic() + _LOOK_S  # after the start of processes
        self._retried: set[int] = set()  # workers that were to be forked when a template died

    def launch(
        self, worker_id: int, environment: Mapping[str, str], output_fd: int | None = None
    ) -> Any:
        client = self._template(environment)
        ours, theirs = (Descriptor(each.detach()) for each in socket.socketpair())
        self._owners[worker_id] = client
        try:
            client.fork(worker_id, theirs, output_fd)
        except OSError:
            ours.close()
            theirs.close()
            del self._owners[worker_id]
            raise
        return ours

    def send_signal(self, worker_id: int, signum: int) -> None:
        client = self._owners.get(worker_id)
        if client is not None:
            client.send_signal(worker_id, signum)

    def withdraw(self, worker_id: int) -> bool:
        client = self._owners.get(worker_id)
        return client is not None and client.withdraw(worker_id)

    def look_after_start(self) -> float | None:
        if self._guard is None or all(each.was_loaded for each in self._templates.values()):
            return None
        now = time.monotonic()
        if now >= self._looks_at:
            # Nothing else would tell of a process that was stopped, as an import may take long.
            self._guard.go_on()
            self._looks_at = now + _LOOK_S
        return self._looks_at - now

    def give_up(self, worker_id: int) -> None:
        client = self._owners.get(worker_id)
        if client is not None and client.is_stuck() and self._guard is not None:
            logger.warning("The template process of worker %d reports nothing: killed.", worker_id)
            self._guard.kill_template(client.id)
            client.wait_once_more()

    def process_ids(self) -> dict[int, int]:
        return {
            worker_id: pid
            for client in self._templates.values()
            for worker_id, pid in client.pids.items()
        }

    def close(self) -> None:
        # One that still imports would not notice that the run has ended.
        can_be_kept = self._is_warm and all(each.was_loaded for each in self._templates.values())
        for client in self._templates.values():
            client.close()
        self._templates.clear()
        guard, self._guard = self._guard, None
        if guard is None:
            return
        if can_be_kept and guard.detach():
            keeper.give_back(guard, self._surroundings)
        else:
            guard.close()

    def _template(self, environment: Mapping[str, str]) -> TemplateClient:
        key = tuple(sorted(environment.items()))
        client = self._templates.get(key)
        if client is None:
            if self._guard is None:
                self._guard = self._take_guard()
                self._guard.attach(self.waiter, self._on_template_ended, self._on_guard_lost)
            number, control = self._guard.start_template(
                environment,
                self.program.outputs or (1, 2),
                self.program.lease_fd,
                program=self.program.path,
                private_dir=self.program.private_dir,
                open_files=users_limit(),
                variables=fleeting_variables(),
                is_warm=self._is_warm,
                prepare=dumps_preparation() if self._is_warm else b"",
                modules=self._modules(),
                preload=self._preload,
                imports=self._imports,
                import_limit_s=_IMPORT_LIMIT_S,
            )
            client = TemplateClient(number, control, environment, self.waiter, self)
            self._templates[key] = client
        return client

    def _take_guard(self) -> GuardClient:
        """Returns the guard that an earlier run of this process has left, or a new one."""
        self._surroundings = surroundings() if self._is_warm else None
        guard = keeper.take(self._surroundings) if self._is_warm else None
        return guard or GuardClient(self._settings() | {"idle_s": IDLE_S})

    def _modules(self) -> tuple[str, ...]:
        """Returns the modules that the program refers to, if the template is to load it."""
        if not self._is_warm or self._preload is not None:
            return ()
        if self._modules_of_program is None:
            self._modules_of_program = modules_of(self.program.path)
        return self._modules_of_program

    def on_worker_exit(self, worker_id: int, exit: WorkerExit) -> None:
        del self._owners[worker_id]
        self.on_exit(worker_id, exit)

    def on_refusal(self, client: TemplateClient, reason: str) -> None:
        # A template that preloads nothing, or no module that does this, takes over.
        if self._preload and client.importing in self._preload:
            self._tell_fault(client.importing, f"{reason}. The run goes on without it.")
            self._preload = tuple(each for each in self._preload if each != client.importing)
        elif self._preload != ():
            self._preload = self._imports = ()
            logger.warning(
                "Each worker loads the trainable by itself, which takes longer: %s. To import "
                "selected modules once instead, pass ProcessExecutor(preload=[...]).",
                reason,
            )
        self._take_over(client, may_go_on=True)

    def on_faulty_import(self, client: TemplateClient, reason: str) -> None:
        assert client.importing is not None
        if self.program.preload is not None:
            self._tell_fault(client.importing, f"{reason}. The run goes on without it.")
            return
        client.was_refused = True
        self._do_without(client.importing, reason)
        self._take_over(client, may_go_on=True)

    def _tell_fault(self, name: str, text: str) -> None:
        if name not in self._faults:
            self._faults[name] = text
            logger.warning("preload names %r, but %s", name, text)

    def _do_without(self, name: str, reason: str) -> None:
        """Lets trials import a package by themselves, or all if there is no end of faults."""
        package = _package_of(name)
        logger.debug("Each trial imports %s by itself: %s", package or "all", reason)
        self._faults[package] = reason
        is_last = not package or len(self._faults) >= _MOST_FAULTS
        self._imports = tuple(
            each for each in self._imports if not is_last and _package_of(each[0]) != package
        )

    def _on_ended_by_import(self, client: TemplateClient, name: str) -> None:
        has_hung = client.exit_code == -signal.SIGALRM
        reason = (
            f"importing it took longer than {_IMPORT_LIMIT_S:g} s"
            if has_hung
            else f"importing it ended the process (exit code {client.exit_code})"
        )
        client.was_refused = True
        if self.program.preload is not None:
            self._tell_fault(name, f"{reason}. The run goes on without preload.")
            self._preload = ()
        else:
            self._do_without(name, reason)
            if has_hung:
                logger.warning(
                    "The trials import %r, and %s. Each imports it by itself now.", name, reason
                )
        self._take_over(client, may_go_on=True)

    def _on_template_ended(self, template_id: int, exit_code: int, text: str) -> None:
        for client in self._templates.values():
            if client.id == template_id:
                client.handle_remaining()
                # It may have refused, and another one has taken over.
                if client in self._templates.values():
                    client.exit_code = exit_code
                    if client.importing is not None:
                        self._on_ended_by_import(client, client.importing)
                        return
                    if text:
                        client.problem = client.problem or f"it could not be started: {text}"
                    note = "its template process was killed, and it with it"
                    self._lost(client, note, may_go_on=client.was_loaded)
                return

    def _on_guard_lost(self) -> None:
        assert self._guard is not None
        guard, self._guard = self._guard, None
        clients = list(self._templates.values())
        # They have noticed it, too, and end their descendants.
        for client in clients:
            client.wait_for_end()
        guard.close_lost()
        for client in clients:
            # A worker that it has started may have read its first command.
            client.handle_remaining()
            if client in self._templates.values():
                note = "its guard process was killed, and it with it"
                self._lost(client, note, may_go_on=True)

    def _lost(self, client: TemplateClient, note: str, *, may_go_on: bool) -> None:
        """Handles the end of a template and its descendants."""
        worker_ids = list(client.pids)
        client.pids.clear()
        for worker_id in worker_ids:
            self.on_worker_exit(worker_id, WorkerExit(None, note))
        self._take_over(client, may_go_on=may_go_on)

    def _take_over(self, old: TemplateClient, *, may_go_on: bool) -> None:
        """Lets a new template fork the workers that the old one had not forked yet."""
        waiting, old.waiting = old.waiting, {}
        unsent, old.unsent = old.unsent, {}
        self._templates = {key: each for key, each in self._templates.items() if each is not old}
        old.close()
        for worker_id, (theirs, output_fd) in waiting.items():
            is_innocent = old.was_refused or (may_go_on and worker_id in unsent)
            # A worker that died before its start was reported may have read its first command.
            may_retry = may_go_on and worker_id not in self._retried and theirs.poll()
            if is_innocent or may_retry:
                if not is_innocent:
                    self._retried.add(worker_id)
                self._move(worker_id, theirs, output_fd, old)
            else:
                # It died during its start, or a second time: the next one would die, too.
                theirs.close()
                note = old.problem or "the template process ended before it started the worker"
                exit_code = None if old.problem else old.exit_code
                self.on_worker_exit(worker_id, WorkerExit(exit_code, note))

    def _move(
        self, worker_id: int, theirs: Any, output_fd: int | None, old: TemplateClient
    ) -> None:
        try:
            client = self._template(old.environment)
            client.fork(worker_id, theirs, output_fd)
        except OSError as error:
            theirs.close()
            self.on_worker_exit(worker_id, not_started(str(error)))
            return
        self._owners[worker_id] = client
        signum = old.early_signals.get(worker_id)
        if signum is not None:
            client.send_signal(worker_id, signum)


def _package_of(module: str) -> str:
    return module.partition(".")[0]


def _first_of(imports: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[Any, ...]:
    """Returns as many imports as fit into a packet."""
    sizes = itertools.accumulate(len(repr(each)) for each in imports)
    pairs = zip(imports, sizes, strict=True)
    return tuple(each for each, size in pairs if size <= _MOST_BYTES_OF_IMPORTS)
