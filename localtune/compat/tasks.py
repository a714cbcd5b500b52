"""Runs calls of remote functions in a pool of processes.

::

    submit --> blocked: an argument does not exist yet --+
       |                                                 v
       +-----> waiting, by request and environment --> running: a thread and a process each
                     ^                                   |
                     +---- resources are free again -----+--> progress: who waits is woken

A process is used again for calls that need the same environment. A call that has GPUs gets a
process of its own, so that no memory of the GPU is held after it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from localtune.compat.calls import Call, store_error
from localtune.compat.errors import TaskCancelledError, WorkerCrashedError
from localtune.compat.objects import ObjectRef, ObjectStore
from localtune.compat.progress import progress
from localtune.compat.task_process import TaskProcess
from localtune.execution.machine import thread_environment
from localtune.resources import ResourcePool
from localtune.trainable.parameters import dumps_with_parameters

# Functions that ask for less than a CPU could otherwise start any number of processes.
_LEAST_LIMIT = 16
_PROCESSES_PER_CPU = 4


@dataclass(eq=False)
class Task:
    """A call of a remote function, on its way.

    Attributes:
        call: The call.
        function: The function, as an object.
        arguments: Its arguments, as an object.
        environment: Variables that it needs.
        max_calls: After so many calls of functions its process ends; 0 is no limit.
        needs: References that must have values first; kept until the call has ended.
        process: The process that carries it out.
        is_cancelled: Whether somebody has cancelled it.
    """

    call: Call
    function: ObjectRef
    arguments: ObjectRef
    environment: Mapping[str, str]
    max_calls: int
    needs: Sequence[ObjectRef]
    process: _Served | None = None
    is_cancelled: bool = False

    def shape(self) -> object:
        """Returns what tells whether it can run where another task can."""
        return (
            frozenset(self.call.resources.items()),
            frozenset(self.environment.items()),
            self.max_calls,
        )


class _Served:
    """A process of the pool, or one that starts, and the thread that waits for it.

    Attributes:
        inbox: Tasks for the thread; None ends it.
        environment: Variables of the process.
        process: The process; None before its start and after its end.
        calls: How many it has carried out.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.inbox: queue.SimpleQueue[tuple[int, Task] | None] = queue.SimpleQueue()
        self.environment = environment
        self.process: TaskProcess | None = None
        self.calls = 0
        self.thread: threading.Thread | None = None


class TaskPool:
    """Runs tasks in processes, as far as the resources allow.

    Args:
        store: The objects.
        resources: What all tasks together may use, ``{name: amount}``.
        gpu_ids: Names of the GPUs.
    """

    def __init__(
        self, store: ObjectStore, resources: Mapping[str, float], gpu_ids: Sequence[str]
    ) -> None:
        self.pid = os.getpid()
        self._store = store
        self._pool = ResourcePool(resources, gpu_ids)
        self._has_gpus = bool(gpu_ids)
        self._most = max(_LEAST_LIMIT, int(_PROCESSES_PER_CPU * resources.get("CPU", 0)))
        self._preparation = dumps_with_parameters(None)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._tasks: dict[str, Task] = {}  # by the name of each object that they make
        self._blocked: dict[str, list[Task]] = {}  # by the name of an object that they need
        self._waiting: dict[object, deque[Task]] = {}  # by shape
        self._served: set[_Served] = set()
        self._idle: list[_Served] = []
        self._running: dict[Task, int] = {}
        self._is_closed = False

    def why_never(self, resources: Mapping[str, float]) -> str:
        """Returns why the pool can never grant a request, "" if it can.

        Args:
            resources: The request.
        """
        if self._pool.can_ever_fit(resources):
            return ""
        return f"it asks for {dict(resources)}, but there is no more than {self._pool.total}"

    def taken(self) -> dict[str, float]:
        """Returns the resources of all running tasks."""
        with self._lock:
            return self._pool.used

    def submit(self, task: Task) -> None:
        """Runs a task as soon as its arguments exist and resources are free.

        Args:
            task: The task, which the pool can run.
        """
        progress.begin(task.call.results)
        with self._lock:
            self._tasks.update(dict.fromkeys(task.call.results, task))
            self._queue(task)
            self._start_waiting()

    def cancel(self, key: str, *, force: bool) -> None:
        """Cancels the task that makes an object, if it has not ended.

        Args:
            key: Name of the object.
            force: Whether to kill the process of a task that runs.
        """
        with self._lock:
            task = self._tasks.get(key)
            if task is None:
                return
            task.is_cancelled = True
            number = self._running.get(task)
            if number is None:
                for each in (*self._waiting.values(), *self._blocked.values()):
                    if task in each:
                        each.remove(task)
                self._store_error(task)
                self._end(task)
            elif task.process is not None and task.process.process is not None:
                if force:
                    task.process.process.kill()
                else:
                    task.process.process.cancel(number)

    def close(self) -> None:
        """Ends all processes, and with them the tasks that run; drops the others."""
        with self._lock:
            self._is_closed = True
            dropped, self._tasks = self._tasks, {}
            self._waiting.clear()
            self._blocked.clear()
            served = list(self._served)
            for each in served:
                if each not in self._idle and each.process is not None:
                    each.process.kill()
                each.inbox.put(None)
        progress.end(list(dropped))
        for each in served:
            if each.thread is not None:
                each.thread.join()

    # -- with the lock held ----------------------------------------------------------------------

    def _queue(self, task: Task) -> None:
        for each in task.needs:
            if not each.is_ready():
                self._blocked.setdefault(each.hex(), []).append(task)
                return
        self._waiting.setdefault(task.shape(), deque()).append(task)

    def _start_waiting(self) -> None:
        for shape, tasks in list(self._waiting.items()):
            while tasks and len(self._running) < self._most and self._fits(tasks[0]):
                self._start(tasks.popleft())
            if not tasks:
                del self._waiting[shape]

    def _fits(self, task: Task) -> bool:
        return self._pool.fits(task.call.resources)

    def _start(self, task: Task) -> None:
        number = self._running[task] = next(self._numbers)
        allocation = self._pool.acquire(str(number), task.call.resources)
        task.call = replace(task.call, gpu_ids=allocation.gpu_ids)
        environment = {
            **thread_environment(allocation.resources.get("CPU", 0.0)),
            **task.environment,
        }
        if self._has_gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(allocation.gpu_ids)
        task.process = self._process_for(environment)
        task.process.inbox.put((number, task))

    def _process_for(self, environment: Mapping[str, str]) -> _Served:
        for each in self._idle:
            if each.environment == environment:
                self._idle.remove(each)
                return each
        if len(self._served) >= self._most:
            for each in self._idle:
                each.inbox.put(None)
            self._idle.clear()
        served = _Served(environment)
        self._served.add(served)
        served.thread = threading.Thread(
            target=self._serve, args=(served,), daemon=True, name="localtune-task"
        )
        served.thread.start()
        return served

    def _end(self, task: Task) -> None:
        """Forgets a task whose objects exist, or never will."""
        for key in task.call.results:
            self._tasks.pop(key, None)
            if not self._store.is_wanted(key):
                self._store.remove(key)
        progress.end(task.call.results)
        for key in task.call.results:
            for each in self._blocked.pop(key, ()):
                self._queue(each)

    # -- in the thread of a process --------------------------------------------------------------

    def _serve(self, served: _Served) -> None:
        try:
            while (given := served.inbox.get()) is not None:
                number, task = given
                if self._carry_out(served, number, task):
                    served.calls += 1
                else:
                    self._discard(served)
                self._on_end(served, number, task)
                # It would keep the files of its arguments until the next one comes.
                del given, task
        finally:
            self._discard(served)
            with self._lock:
                self._served.discard(served)

    def _carry_out(self, served: _Served, number: int, task: Task) -> bool:
        message = {
            "number": number,
            "call": asdict(task.call),
            "function": task.function.hex(),
            "arguments": task.arguments.hex(),
        }
        try:
            if served.process is not None and served.process.has_ended:
                self._discard(served)
            if served.process is None:
                served.process = TaskProcess(
                    self._store.directory, self._preparation, served.environment
                )
                served.calls = 0
            if self._is_closed or task.is_cancelled:
                return False
            return served.process.carry_out(message)
        except OSError as error:
            with self._lock:
                self._store_error(task, f"its process could not be started: {error}")
            return False

    def _on_end(self, served: _Served, number: int, task: Task) -> None:
        with self._lock:
            del self._running[task]
            self._pool.release(str(number))
            if self._is_closed:
                return
            self._store_error(task, "its process ended in the middle of the call")
            self._end(task)
            # A process whose call was cancelled may have been killed a moment later.
            if served.process is None or task.is_cancelled or served.calls == task.max_calls:
                served.inbox.put(None)
            else:
                self._idle.append(served)
            self._start_waiting()

    def _store_error(self, task: Task, reason: str = "") -> None:
        """Stores an error in place of objects that a task has not made."""
        name = task.call.name
        error: Exception = WorkerCrashedError(f"{name}() has no result: {reason}.")
        if task.is_cancelled:
            error = TaskCancelledError(f"{name}() was cancelled.")
        missing = tuple(key for key in task.call.results if not self._store.has(key))
        with contextlib.suppress(Exception):
            store_error(self._store, replace(task.call, results=missing), error)

    def _discard(self, served: _Served) -> None:
        process, served.process = served.process, None
        if process is not None:
            process.close()
