"""The base: has imported what the templates of several runs need, and forks them. Linux.

::

      guard                        base                       (for a moment)        template
        |  "fork 3" + descriptors    |  imports modules, once        |                  |
        |--------------------------->|  fork ----------------------->|  fork ---------->|
        |<----------------------------------- "started 3 <pid>" -----|                  |
        |                            |                               ends               |
        |<- - - - - - - - - - - - - - - - - - becomes its parent - - - - - - - - - - - >|
        |  "fork 4" + descriptors    |                                                  |

A template belongs to one run: it loads the program, and ends with the run. The base outlives the
run, so it never loads a program and calls nothing of the user: it imports the modules that
programs refer to, by their names. Trials of the next run thus see nothing of the one before.

The base has no descriptor of a run, and works in the root directory. The guard becomes the parent
of templates, so the end of a base means nothing to them. The kernel ends the base with the guard.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from localtune.execution.process import packets as pk
from localtune.execution.process.fork_safety import why_unsafe_to_fork
from localtune.execution.process.imports import import_ahead, import_one
from localtune.execution.process.program_modules import users_modules
from localtune.execution.process.template import main as template_main
from localtune.utils.messages import say
from localtune.worker.lifeline import die_with_parent, signal_when_parent_dies
from localtune.worker.main import adopt_interpreter
from localtune.worker.program import prepare, warm_up
from localtune.worker.signals import SignalShelter
from localtune.worker.workdir import flush_output

# Each request for a template has these: a socket, the directory, the output, the errors.
_REQUIRED_FDS = 4


def main(
    control: socket.socket, guard_pid: int, superiors: tuple[int, int], settings: dict[str, Any]
) -> NoReturn:
    """Entry of a base process, which the guard has forked.

    Args:
        control: Socket to the guard.
        guard_pid: Process id of the guard.
        superiors: Process descriptors of the guard and of the parent.
        settings: ``prepare`` (see :func:`~localtune.worker.program.prepare`), ``modules``,
            ``preload``, ``imports`` and ``import_limit_s`` (see
            :func:`~localtune.execution.process.imports.import_ahead`), and the settings of a
            template.
    """
    code = 1
    try:
        die_with_parent(guard_pid)
        adopt_interpreter(settings)
        Base(control, guard_pid, superiors, settings).run()
        code = 0
    except BaseException:
        import traceback

        say(traceback.format_exc())
    finally:
        flush_output()
        os._exit(code)


class Base:
    """Imports modules, and forks templates.

    Args:
        control: See :func:`main`.
        guard_pid: See :func:`main`.
        superiors: See :func:`main`.
        settings: See :func:`main`.
    """

    def __init__(
        self,
        control: socket.socket,
        guard_pid: int,
        superiors: tuple[int, int],
        settings: dict[str, Any],
    ) -> None:
        self._control = control
        self._guard_pid = guard_pid
        self._superiors = superiors
        self._settings = settings
        self._signals = SignalShelter()
        self._files: dict[str, object] = {}
        self._serves_once = False

    def run(self) -> None:
        """Serves the guard until it has gone, or until this process is of no more use."""
        packet = pk.receive(self._control)
        if packet is None or not self._load(packet):
            return
        self._files = _state_of(module.__file__ for module in users_modules().values())
        # Templates share the objects that exist now. The collector must not touch them, which
        # would copy them.
        gc.collect()
        gc.freeze()
        while packet is not None:
            self._fork_template(packet)
            _close(packet.fds)
            packet = pk.receive(self._control)
            is_stale = self._serves_once or _state_of(self._files) != self._files
            if packet is not None and is_stale:
                pk.send(self._control, pk.Packet(pk.STALE))
                return

    def _load(self, packet: pk.Packet) -> bool:
        """Imports the modules; returns, and tells the parent, whether processes may be forked.

        Args:
            packet: The first request, in whose directory and with whose output it imports.
        """
        is_warm = self._settings["is_warm"]
        if is_warm:
            _enter(packet.fds)
            warm_up()
        # From here on, modules of the user are imported, and garbage may come.
        gc.freeze()
        gc.enable()
        if is_warm:
            with socket.socket(fileno=os.dup(packet.fds[0])) as parent:
                if not self._import(parent):
                    return False
            flush_output()
        _let_go()
        self._signals.shut_out()
        return True

    def _import(self, parent: socket.socket) -> bool:
        """Imports the modules; returns, and tells the parent, whether to go on."""

        def tell(kind: bytes, text: str) -> None:
            with contextlib.suppress(OSError):
                pk.send(parent, pk.Packet(kind, payload=text.encode()))

        limit_s: float = self._settings["import_limit_s"]
        prepare(self._settings["prepare"])
        for name in self._settings["modules"]:
            # A worker will report that the trainable cannot be loaded.
            with contextlib.suppress(BaseException):
                __import__(name)
        if self._tell_refusal(tell):
            return False
        for name in self._settings["preload"] or ():
            tell(pk.IMPORTING, name)
            fault = import_one(name, limit_s)
            if fault:
                # It is left out, and told in each run.
                tell(pk.BROKEN, fault)
                self._serves_once = True
            # The parent knows which module this is about.
            if self._tell_refusal(tell):
                return False
        imports = self._settings["imports"]
        fault = import_ahead(imports, limit_s, lambda name: tell(pk.IMPORTING, name))
        if fault:
            tell(pk.BROKEN, fault)
        return not fault

    def _tell_refusal(self, tell: Callable[[bytes, str], None]) -> bool:
        """Tells the parent if this process may not be forked; returns whether that is so."""
        refusal = why_unsafe_to_fork()
        if refusal:
            tell(pk.REFUSED, refusal)
        return bool(refusal)

    def _fork_template(self, packet: pk.Packet) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._tell_failure(packet, error)
            return
        if pid == 0:
            try:
                self._fork_for_guard(packet)
            except OSError as error:
                self._tell_failure(packet, error)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def _fork_for_guard(self, packet: pk.Packet) -> None:
        """Forks a template that becomes a child of the guard when this process ends."""
        own_pidfd = os.pidfd_open(os.getpid())
        pid = os.fork()
        if pid == 0:
            self._become_template(packet, own_pidfd)
        try:
            # The guard reads this before it is the parent: it takes no template for an orphan.
            pidfd = os.pidfd_open(pid)
            pk.send(self._control, pk.Packet(pk.STARTED, packet.id, pid, fds=(pidfd,)))
        except OSError:
            os.kill(pid, signal.SIGKILL)
            raise

    def _become_template(self, packet: pk.Packet, forker_pidfd: int) -> NoReturn:
        try:
            ended = select.poll()
            ended.register(forker_pidfd, select.POLLIN)
            ended.poll()
            os.close(forker_pidfd)
            self._control.close()
            os.setsid()
            # A stopped template must notice that the guard has died.
            signal_when_parent_dies(signal.SIGCONT)
            _enter(packet.fds)
            # What is behind them stays open to the end: it holds the lock of a lease.
            _close(packet.fds[1:_REQUIRED_FDS])
            self._signals.let_in()
            options = pickle.loads(packet.payload)
            options["kept_fds"] = packet.fds[_REQUIRED_FDS:]
            os.environ.update(options["variables"])
            template_main(packet.fds[0], self._superiors, self._settings | options)
        except BaseException:
            import traceback

            say(traceback.format_exc())
        finally:
            os._exit(1)

    def _tell_failure(self, packet: pk.Packet, error: OSError) -> None:
        pk.send(self._control, pk.Packet(pk.NOT_STARTED, packet.id, 1, str(error).encode()))


def _enter(fds: Sequence[int]) -> None:
    """Enters the directory of a run, and prints to its output.

    Args:
        fds: Descriptors of a request: a socket, the directory, the output, the errors; maybe
            another one.
    """
    _, directory, output, errors = fds[:_REQUIRED_FDS]
    # Trials have directories of their own.
    with contextlib.suppress(OSError):
        os.fchdir(directory)
    os.dup2(output, 1)
    os.dup2(errors, 2)


def _let_go() -> None:
    """Leaves the directory and the output of a run."""
    os.chdir(os.sep)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _state_of(paths: Iterable[Any]) -> dict[str, object]:
    states: dict[str, object] = {}
    for path in paths:
        states[path] = None
        with contextlib.suppress(OSError):
            status = os.stat(path)
            states[path] = (status.st_mtime_ns, status.st_size)
    return states
