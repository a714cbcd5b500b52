"""The main program of a worker process."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from localtune.error import TrialStopped
from localtune.utils import open_files
from localtune.utils.messages import say
from localtune.worker import messages
from localtune.worker.crash import write_crashes_to
from localtune.worker.host import ProcessHost
from localtune.worker.lifeline import (
    adopt_orphans,
    be_ended_first,
    flush_c_output,
    kill_descendants,
)
from localtune.worker.pipe import Descriptor, message_pipe
from localtune.worker.program import load_program
from localtune.worker.signals import reset_signals
from localtune.worker.termination import unwind_on_sigterm
from localtune.worker.workdir import flush_output

if TYPE_CHECKING:
    from localtune.trainable.trainable import Trainable


# The parent answers a result within about this time, unless it has much to do.
_SPIN_S = 50e-6
# Errors of a descriptor that was closed, or closed and used again for another file.
_NO_PIPE = (errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOTSOCK)
_PIPE_CLOSED = (
    "User code closed its pipe to the run, a descriptor that is not its own. Does it call "
    "os.closerange(), or close descriptors by number? Do so in a process of its own.\n"
)


class PipeChannel:
    """The worker's end of the pipe to the parent.

    Args:
        connection: An end of ``multiprocessing.Pipe()``.
        crash_file: File for the reason if the pipe cannot be used any more; "" is none.
    """

    def __init__(self, connection: Any, crash_file: str = "") -> None:
        self._pipe = message_pipe(connection)
        self._crash_file = crash_file
        self._owner_pid = os.getpid()

    def receive(self) -> messages.Command:
        self._end_a_copy()
        try:
            self._pipe.wait_briefly(_SPIN_S)
            data = self._pipe.receive()
        except OSError as error:
            self._explain(error)
            raise EOFError from None
        command: messages.Command = messages.decode(data)
        return command

    def send(self, reply: messages.Reply) -> None:
        self._end_a_copy()
        data = messages.encode_reply(reply)
        try:
            self._pipe.send(data)
        except OSError as error:
            self._explain(error)
            raise

    def has_more(self) -> bool:
        return self._pipe.has_more()

    def _explain(self, error: OSError) -> None:
        """Writes a note for the parent, if it is user code that has closed the pipe."""
        if error.errno in _NO_PIPE and self._crash_file:
            with contextlib.suppress(OSError), open(self._crash_file, "a") as file:
                file.write(_PIPE_CLOSED)

    def _end_a_copy(self) -> None:
        """Ends a process that user code has forked and that has returned to the worker's loop."""
        if os.getpid() == self._owner_pid:
            return
        sys.stderr.write(
            f"Process {os.getpid()}, forked by the trial in process {self._owner_pid}, returned "
            "from user code or called report(), and was ended: only the process of the worker may "
            "do that. End a forked process with os._exit().\n"
        )
        flush_output()
        os._exit(1)


def serve(connection: Any, load: Callable[[], type[Trainable]], crash_file: str) -> int:
    """Serves the parent until the trial or the parent has ended.

    Args:
        connection: The worker's end of the pipe.
        load: Returns the trainable class.
        crash_file: What :func:`localtune.worker.crash.write_crashes_to` returned.

    Returns:
        The exit code for the process; a negative one is the number of a signal to die of.
    """
    unwind_on_sigterm()
    try:
        return ProcessHost(load, PipeChannel(connection, crash_file)).run()
    except TrialStopped:
        return -int(signal.SIGTERM)
    except OSError:
        # The parent has gone in the middle of an answer.
        return 1


def exit_worker(code: int, *, with_descendants: bool = False) -> NoReturn:
    """Ends this process as a script would end, but without waiting for its threads.

    Args:
        code: Exit code; a negative one is the number of a signal to die of.
        with_descendants: Whether to kill what user code started and left running.
    """
    import atexit

    # From here on SIGTERM does not unwind user code.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _run_threading_exits()
        atexit._run_exitfuncs()
        flush_output()
        flush_c_output()
    finally:
        try:
            if with_descendants:
                kill_descendants()
        finally:
            if code < 0:
                # The exit status of the process names the signal.
                signal.signal(-code, signal.SIG_DFL)
                os.kill(os.getpid(), -code)
            os._exit(code)


def _run_threading_exits() -> None:
    """Runs the functions that an interpreter runs before it waits for its threads.

    Executors of ``concurrent.futures`` (and of joblib) end their processes in such a function.
    Otherwise ``multiprocessing`` would wait for these processes without end.
    """
    for function in reversed(getattr(threading, "_threading_atexits", [])):
        with contextlib.suppress(Exception):
            function()


def main_spawned(fd_or_handle: int, settings: dict[str, Any]) -> NoReturn:
    """Entry of a worker that was started as a fresh interpreter.

    Args:
        fd_or_handle: The inherited end of the pipe.
        settings: ``program``, ``private_dir``, ``worker_id``, ``own_group``, and what
            :func:`adopt_interpreter` needs.
    """
    code = 1
    try:
        reset_signals()
        connection = open_connection(fd_or_handle)
        adopt_interpreter(settings)
        restore_open_files(settings["open_files"])
        # Processes that user code starts stay descendants of this process, and are ended with it.
        adopt_orphans()
        be_ended_first()
        crash_file = write_crashes_to(settings["private_dir"], settings["worker_id"])
        if not settings["own_group"]:
            # Ctrl-C in the terminal reaches this process, too. The parent handles it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = serve(connection, lambda: load_program(settings["program"]), crash_file)
    except BaseException:
        import traceback

        say(traceback.format_exc())
    finally:
        exit_worker(code, with_descendants=True)


def open_connection(fd_or_handle: int) -> Any:
    """Returns the pipe of an inherited descriptor (a handle on Windows)."""
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        return PipeConnection(fd_or_handle)
    # Processes that user code starts must not keep the pipe open.
    os.set_inheritable(fd_or_handle, False)
    return Descriptor(fd_or_handle)


def restore_open_files(soft_limit: int | None) -> None:
    """Restores the user's limit on open files, which the parent may have raised.

    Args:
        soft_limit: The user's limit; None does not change the limit.
    """
    limits = open_files.limits()
    if soft_limit is not None and limits is not None and limits[0] != soft_limit:
        open_files.set_soft_limit(soft_limit)


def adopt_interpreter(settings: dict[str, Any]) -> None:
    """Sets the module search path and the arguments of this interpreter to the parent's."""
    sys.path[:] = settings["sys_path"]
    sys.argv[:] = settings["argv"]
    # Output to a file or to the parent is passed on line by line, not when a buffer is full.
    if sys.stdout is not None:
        # A line and its end are one write, also with `python -u`.
        sys.stdout.reconfigure(  # type: ignore[union-attr]
            line_buffering=True, write_through=False
        )
