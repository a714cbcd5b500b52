"""A process that carries out calls of remote functions, one after the other.

::

    parent                        task process
      TaskProcess                   reading thread            main thread
        call      ---- pipe ---->     inbox ------------------> function(...)
        cancel    ---- pipe ---->     SIGINT -----------------> KeyboardInterrupt, if that call runs
                  <--- pipe ---------------------------------- done
      (dies, or shuts down) --end-->  kills what the function started, and ends the process

Values and errors do not go through the pipe: they are objects in the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from localtune.compat.calls import Arguments, Call, carry_out, store_error
from localtune.compat.errors import RaySystemError, TaskCancelledError
from localtune.compat.objects import ObjectStore
from localtune.worker.lifeline import adopt_orphans, be_ended_first, kill_descendants
from localtune.worker.main import (
    adopt_interpreter,
    exit_worker,
    open_connection,
    restore_open_files,
)
from localtune.worker.pipe import MessagePipe, message_pipe
from localtune.worker.program import load_program_bytes, publish_main
from localtune.worker.signals import reset_signals

# Functions that a process keeps loaded.
_MOST_FUNCTIONS = 64


def main(number: int, settings: dict[str, Any]) -> NoReturn:
    """Entry of a task process.

    Args:
        number: Descriptor of the pipe.
        settings: What :class:`TaskProcess` gives.
    """
    reset_signals()
    connection = open_connection(number)
    adopt_interpreter(settings)
    restore_open_files(settings["open_files"])
    # What functions start stays below this process, and is ended with it.
    adopt_orphans()
    be_ended_first()
    load_program_bytes(settings["preparation"])
    server = _Server(message_pipe(connection), ObjectStore(settings["private_dir"]))
    server.serve()
    exit_worker(0, with_descendants=True)


class _Server:
    """Carries out the calls that arrive through a pipe."""

    def __init__(self, pipe: MessagePipe, store: ObjectStore) -> None:
        self._pipe = pipe
        self._store = store
        self._inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._running: int | None = None
        self._cancelled: int | None = None
        self._main_thread = threading.get_ident()

    def serve(self) -> None:
        """Carries out calls until the parent closes the pipe."""
        signal.signal(signal.SIGINT, self._on_interrupt)
        threading.Thread(target=self._read, daemon=True, name="localtune-read").start()
        while (message := self._inbox.get()) is not None:
            self._carry_out(message)
            try:
                self._pipe.send(b"done")
            except OSError:
                return

    def _read(self) -> None:
        while True:
            try:
                message = json.loads(self._pipe.receive())
            except (OSError, EOFError):
                break
            if "cancel" in message:
                self._cancelled = message["cancel"]
                self._interrupt()
            else:
                self._inbox.put(message)
        self._inbox.put(None)
        if self._running is not None:
            # Nobody waits for the function any more.
            kill_descendants()
            os._exit(1)

    def _interrupt(self) -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self._main_thread, signal.SIGINT)
        else:
            import _thread

            _thread.interrupt_main()

    def _on_interrupt(self, signum: int, frame: Any) -> None:
        # The call may have ended since the parent asked for it.
        if self._running is not None and self._running == self._cancelled:
            self._cancelled = None
            raise KeyboardInterrupt

    def _carry_out(self, message: dict[str, Any]) -> None:
        call = Call(**{**message["call"], "results": tuple(message["call"]["results"])})
        try:
            self._running = message["number"]
            if self._cancelled == self._running:
                raise KeyboardInterrupt
            function = self._function(message["function"])
            arguments: Arguments = self._store.read(message["arguments"])
            carry_out(self._store, call, function, arguments)
            self._running = None
        except KeyboardInterrupt:
            self._running = None
            self._fail(call, TaskCancelledError(f"{call.name}() was cancelled."))
        except BaseException as error:
            self._running = None
            self._fail(call, error)

    def _fail(self, call: Call, error: BaseException) -> None:
        if not isinstance(error, TaskCancelledError):
            error = RaySystemError(f"{call.name}() could not run: {type(error).__name__}: {error}")
        with contextlib.suppress(Exception):
            store_error(self._store, call, error)

    def _function(self, key: str) -> Callable[..., Any]:
        function = self._functions.get(key)
        if function is None:
            if len(self._functions) == _MOST_FUNCTIONS:
                self._functions.pop(next(iter(self._functions)))
            function = self._functions[key] = self._store.read(key)
            publish_main(function)
        return function
