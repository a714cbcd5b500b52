"""What a test must not leave behind.

    before = State.now(watch)          what there is when a test starts
    ... the test ...
    found = leaks_since(before, watch) what is there on top of it, said in words
    repair(before, watch)              so that the next test starts clean

Processes, threads, descriptors and temporary files may take a moment to go, so they get a deadline;
the working directory, the environment, the signal handlers and the hooks of ``sys`` must be right
at once.

What localtune keeps for the next run on purpose is no leak: the tests of a module share it, and
:func:`end_what_is_kept` ends it before the module is checked as a whole.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil

import localtune

# Every process that is started with our environment carries this variable, also when its parent
# is gone and it can no longer be found by its ancestors.
PROCESS_MARK = "LOCALTUNE_TEST_SESSION"
DEADLINE_S = 5.0

# pytest and pytest-timeout change these themselves, between tests and between their phases.
_ENVIRONMENT_OF_PYTEST = "PYTEST_CURRENT_TEST"
_SIGNALS_OF_PYTEST = {signal.SIGALRM}
_SIGNALS = sorted(signal.valid_signals() - _SIGNALS_OF_PYTEST)
# Not ``excepthook``: libraries replace it when they are imported, whichever test comes to it first.
_HOOKS = ("exit", "displayhook")
# The bases that a guard keeps at most.
_MOST_BASES = 2
# One per machine and user, kept on purpose: what was fetched, and the locks of that.
_KEPT_FILES = {f"localtune_fetched_{os.getuid()}", f"localtune_locks_{os.getuid()}"}
_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


class ProcessWatch:
    """Tells the processes that come from this one, orphans included, from all others.

    Each process id is looked into once, at first sight, so that asking again costs one listing of
    the process table.
    """

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        os.environ[PROCESS_MARK] = self._mark
        self._others = {os.getpid()}
        self._ours: set[int] = set()

    def alive(self) -> set[int]:
        """Ids of the processes that come from this one and have not ended.

        An ended child that nobody has waited for counts as alive; one of a process that is not
        ours to wait for does not.
        """
        present = set(psutil.pids())
        self._others &= present
        self._ours &= present
        for pid in sorted(present - self._others - self._ours):
            (self._ours if self._comes_from_us(pid) else self._others).add(pid)
        return {pid for pid in self._ours if not _is_zombie_of_another(pid)}

    def _comes_from_us(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            parent = process.ppid()
            if parent == os.getpid() or parent in self._ours:
                return True
            return process.environ().get(PROCESS_MARK) == self._mark
        except (psutil.Error, OSError):
            return False


def _is_zombie_of_another(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid()
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True)
class State:
    """What this process has at one moment.

    Attributes:
        processes: Ids of the processes that come from this one.
        threads: Threads of Python.
        descriptors: (number, device, inode) of each open file descriptor.
        temporary_files: Names in the directory for temporary files, which is this process's own.
        directory: The working directory; None if it has been deleted.
        environment: Environment variables.
        handlers: Signal number to its handler.
        hooks: Functions of ``sys`` that some libraries replace.
    """

    processes: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[int, int, int]]
    temporary_files: frozenset[str]
    directory: str | None
    environment: dict[str, str]
    handlers: dict[int, Any]
    hooks: dict[str, Any]

    @classmethod
    def now(cls, watch: ProcessWatch) -> State:
        alive = watch.alive()
        kept, control = _what_is_kept(alive)
        return cls(
            processes=frozenset(alive - kept),
            threads=frozenset(threading.enumerate()),
            descriptors=frozenset(each for each in _open_descriptors() if each[0] != control),
            temporary_files=frozenset(os.listdir(tempfile.gettempdir())) - _KEPT_FILES,
            directory=_working_directory(),
            environment={
                name: value for name, value in os.environ.items() if name != _ENVIRONMENT_OF_PYTEST
            },
            handlers={number: signal.getsignal(number) for number in _SIGNALS},
            hooks={name: getattr(sys, name) for name in _HOOKS},
        )


def _open_descriptors() -> Iterator[tuple[int, int, int]]:
    for name in os.listdir(_DESCRIPTORS):
        # The descriptor of the listing itself is closed by now.
        with contextlib.suppress(OSError):
            status = os.fstat(int(name))
            yield int(name), status.st_dev, status.st_ino


def _what_is_kept(alive: set[int]) -> tuple[set[int], int]:
    """The processes that wait for the next run, and the descriptor of the socket to them or -1."""
    warm = sys.modules.get("localtune.execution.process.warm")
    kept = warm.keeper._kept if warm is not None else None
    if kept is None:
        return set(), -1
    guard = kept[0]._process.pid
    bases = {pid for pid in alive if _is_base(pid, guard)}
    # With more of them, one is something else.
    found = {guard} if len(bases) > _MOST_BASES else {guard, *bases}
    return found, kept[0]._control.fileno()


def _is_base(pid: int, guard: int) -> bool:
    """Returns whether a process is a base: a guard has forked it, and it belongs to no trial."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return (
            process.ppid() == guard
            and process.cwd() == os.sep
            and process.cmdline() == psutil.Process(guard).cmdline()
        )
    return False


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def leaks_since(before: State, watch: ProcessWatch, *, deadline_s: float = DEADLINE_S) -> list[str]:
    """Say what is there now and was not there before.

    Args:
        before: What there was.
        watch: Knows which processes count.
        deadline_s: Seconds that processes, threads and descriptors have to go.

    Returns:
        One line per leak; empty if there is none.
    """
    give_up_at = time.monotonic() + deadline_s
    pause_s = 0.001
    now = State.now(watch)
    while _lingering(before, now) and time.monotonic() < give_up_at:
        gc.collect()
        multiprocessing.active_children()  # Waits for those that have ended.
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.1)
        now = State.now(watch)
    return _lingering(before, now) + _changed(before, now)


def end_what_is_kept() -> None:
    """Ends what is kept for the next run."""
    if "localtune.execution.process.warm" in sys.modules:
        localtune.shutdown()


def _lingering(before: State, now: State) -> list[str]:
    return [
        *(_describe_process(pid) for pid in sorted(now.processes - before.processes)),
        *(f"thread {thread.name!r}" for thread in now.threads - before.threads),
        *(_describe_descriptor(fd) for fd, _, _ in sorted(now.descriptors - before.descriptors)),
        *(
            f"temporary file {each}"
            for each in sorted(now.temporary_files - before.temporary_files)
        ),
    ]


def _describe_process(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"process {pid}, which has ended and was never waited for"
        return f"process {pid}: {' '.join(process.cmdline())[:300]}"
    except psutil.NoSuchProcess:
        return f"process {pid}, which ended just now"


def _describe_descriptor(fd: int) -> str:
    try:
        what = os.readlink(f"{_DESCRIPTORS}/{fd}")
    except OSError:
        with contextlib.suppress(OSError):
            return f"file descriptor {fd}: {stat.filemode(os.fstat(fd).st_mode)}"
        what = "closed just now"
    return f"file descriptor {fd}: {what}"


def _changed(before: State, now: State) -> list[str]:
    found = []
    if now.directory != before.directory:
        found.append(f"working directory {now.directory}, which was {before.directory}")
    for name in sorted({*before.environment, *now.environment}):
        old, new = before.environment.get(name), now.environment.get(name)
        if new != old:
            found.append(f"environment variable {name}={new!r}, which was {old!r}")
    for number, old_handler in before.handlers.items():
        if now.handlers[number] != old_handler:
            name = signal.Signals(number).name
            found.append(f"handler of {name} {now.handlers[number]}, which was {old_handler}")
    found += [
        f"sys.{name} {now.hooks[name]}, which was {hook}"
        for name, hook in before.hooks.items()
        if now.hooks[name] is not hook
    ]
    return found


def repair(before: State, watch: ProcessWatch) -> None:
    """Undo what leaked, as far as it can be undone.

    Args:
        before: What there shall be.
        watch: Knows which processes count.
    """
    end_what_is_kept()
    _kill(watch.alive() - before.processes)
    for name in set(os.listdir(tempfile.gettempdir())) - before.temporary_files - _KEPT_FILES:
        _remove(os.path.join(tempfile.gettempdir(), name))
    if before.directory is not None:
        os.chdir(before.directory)
    for name in os.environ.keys() - before.environment.keys() - {_ENVIRONMENT_OF_PYTEST}:
        del os.environ[name]
    os.environ.update(before.environment)
    for number, handler in before.handlers.items():
        # None is a handler that was not installed from Python.
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)
    for name, hook in before.hooks.items():
        setattr(sys, name, hook)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.kill()
            # An orphan is for the system's first process to wait for, which may take its time.
            if process.ppid() == os.getpid():
                process.wait(DEADLINE_S)
