"""What runs in a worker process, from its first instruction to its exit."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localtune.error import TrialStopped
from localtune.worker import messages as m
from localtune.worker.host import ProcessHost
from localtune.worker.lifeline import flush_c_output
from localtune.worker.pipe import message_pipe
from localtune.worker.workdir import flush_output

if TYPE_CHECKING:
    from localtune.trainable.trainable import Trainable


class PipeChannel:
    """The worker's end of the pipe to the parent.

    Args:
        connection: An end of ``multiprocessing.Pipe()``.
    """

    def __init__(self, connection: Any) -> None:
        self._pipe = message_pipe(connection)

    def receive(self) -> m.Command:
        try:
            command: m.Command = m.decode(self._pipe.receive())
        except (OSError, EOFError):
            raise EOFError from None
        return command

    def send(self, reply: m.Reply) -> None:
        self._pipe.send(_encode_reply(reply))


def _encode_reply(reply: m.Reply) -> bytes:
    try:
        data = m.encode(reply)
    except Exception as error:
        raise TypeError(_explain_unsendable(reply, error)) from error
    if len(data) > m.MAX_REPLY_BYTES:
        raise ValueError(
            f"A result or answer of {len(data):,} bytes is refused (the limit is "
            f"{m.MAX_REPLY_BYTES:,} bytes). Write large data to a file or a checkpoint."
        )
    return data


def _explain_unsendable(reply: m.Reply, error: Exception) -> str:
    result = getattr(reply, "result", None) or getattr(reply, "metrics", None) or {}
    for key, value in result.items():
        try:
            m.encode(m.Trained({key: value}))
        except Exception:
            return (
                f"The metric {key!r} of type {type(value).__name__} cannot be pickled ({error}). "
                "Report numbers, strings, lists and dicts; write objects to a checkpoint."
            )
    return f"An answer of the worker cannot be pickled: {error}"


def load_program(path: str) -> type[Trainable]:
    """The trainable class that the parent wrote to ``path``.

    What came from the user's ``__main__`` is put into this process's ``__main__`` too: then user
    code can pickle its own classes, and hand its own functions to a process pool.
    """
    from localtune.trainable.parameters import loads_with_parameters

    with open(path, "rb") as file:
        data = file.read()
    trainable: type[Trainable] = loads_with_parameters(data)
    publish_main(trainable)
    return trainable


def publish_main(trainable: type) -> None:
    """Makes by-value code of ``__main__`` findable in this process's ``__main__``."""
    main = sys.modules["__main__"].__dict__
    for scope in _main_scopes(trainable):
        for name, value in scope.items():
            if not name.startswith("__"):
                main.setdefault(name, value)


def _main_scopes(trainable: type) -> list[dict[str, Any]]:
    """Namespaces of the functions from ``__main__`` that the trainable consists of."""
    scopes: list[dict[str, Any]] = []
    for cls in trainable.__mro__:
        if cls.__module__ == "__main__":
            scopes.append({cls.__name__: cls})
        for member in list(vars(cls).values()):
            function = getattr(member, "__func__", member)
            function = getattr(function, "func", function)
            for each in (function, getattr(function, "__wrapped__", None)):
                scope = getattr(each, "__globals__", None)
                if scope is not None and scope.get("__name__") == "__main__":
                    scopes.append({each.__name__: each})
                    scopes.append(scope)
    return scopes


def serve(connection: Any, load: Callable[[], type[Trainable]]) -> int:
    """Serves the parent until the trial, or the parent, is done.

    Args:
        connection: The worker's end of the pipe.
        load: Returns the trainable class.

    Returns:
        The exit code for the process.
    """
    worker_pid = os.getpid()

    def unwind(signum: int, frame: object) -> None:
        if os.getpid() != worker_pid:
            # A process that user code forked has inherited this handler: it dies as usual.
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        raise TrialStopped("The worker was told to end (SIGTERM).")

    signal.signal(signal.SIGTERM, unwind)
    try:
        return ProcessHost(load, PipeChannel(connection)).run()
    except TrialStopped:
        return 1
    except OSError:
        # The parent has gone in the middle of an answer.
        return 1


def exit_worker(code: int) -> None:
    """Ends this process as a script would end, but without waiting for its threads."""
    import atexit

    try:
        atexit._run_exitfuncs()
        flush_output()
        flush_c_output()
    finally:
        os._exit(code)


def main_spawned(fd_or_handle: int) -> None:
    """Entry of a worker that was started as a fresh interpreter.

    Args:
        fd_or_handle: The inherited end of the pipe. Its first message is a pickled dict with
            ``program``, ``private_dir``, ``worker_id``, ``own_group`` and what
            :func:`adopt_interpreter` needs.
    """
    connection = open_connection(fd_or_handle)
    settings = pickle.loads(connection.recv_bytes())
    adopt_interpreter(settings)
    write_crashes_to(settings["private_dir"], settings["worker_id"])
    if not settings["own_group"]:
        # Ctrl-C in the terminal reaches this process too; the parent decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        code = serve(connection, lambda: load_program(settings["program"]))
    finally:
        kill_descendants()
        exit_worker(code)


def open_connection(fd_or_handle: int) -> Any:
    """The pipe behind an inherited descriptor (a handle on Windows)."""
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        return PipeConnection(fd_or_handle)
    from multiprocessing.connection import Connection

    return Connection(fd_or_handle)


def kill_descendants() -> None:
    """Ends whatever user code started and left running."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def adopt_interpreter(settings: dict[str, Any]) -> None:
    """Makes this interpreter look like the parent's: module search path and arguments."""
    sys.path[:] = settings["sys_path"]
    sys.argv[:] = settings["argv"]


def crash_path(private_dir: str, worker_id: int) -> str:
    """Where a worker writes its Python stack if native code crashes."""
    return os.path.join(private_dir, f"crash-{worker_id}")


def write_crashes_to(private_dir: str, worker_id: int) -> None:
    """Lets a fatal signal leave the Python stack in :func:`crash_path`."""
    import faulthandler

    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    faulthandler.enable(os.open(crash_path(private_dir, worker_id), flags, 0o600))
