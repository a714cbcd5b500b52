"""SimulatedExecutor: trials that only pretend to train, on a clock that jumps.

::

      send(Train) --> step() at once --> reply, due at now + time_this_iter_s
                                             |
      timeline:   Ready 0.0   Trained 1.5   Trained 2.0   Saved 2.0 ...   (by time, then as sent)
                     |
      wait() --> the clock jumps to the first one, and it is the event

No process, no thread, no waiting: a sweep of days runs in seconds, and the same input gives the
same events.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from localtune.clock import Clock, ManualClock
from localtune.error import LocaltuneInternalError
from localtune.execution.executor import Abilities, Exited, Replied, WorkerEvent, WorkerExit
from localtune.execution.local_slots import LocalExecutor
from localtune.execution.simulated_host import (
    MakeTrainable,
    SimulatedCrash,
    SimulatedHost,
    StatesInFiles,
    StatesInMemory,
    StateStore,
)
from localtune.execution.slots import Slot
from localtune.utils.signal_numbers import SIGKILL
from localtune.worker import messages

if TYPE_CHECKING:
    from localtune.worker.program import WorkerProgram


class SimulatedExecutor(LocalExecutor):
    """Runs trials in virtual time.

    The object that ``make`` returns takes the place of the trainable.
    A run with the same seed and the same trainables goes through the same events.

    Args:
        make: Makes a simulated trainable of a configuration: a class or a function.
        num_cpus: Number of CPUs. The default does not depend on this machine, so that a simulation
            is the same everywhere.
        num_gpus: Number of GPUs.
        resources: Further resources, ``{name: amount}``.
        step_s: Virtual seconds of a step that fails, or whose result has no
            ``time_this_iter_s``.
        start_s: Virtual seconds until a worker is ready.
        save_s: Virtual seconds that a checkpoint takes.
        restore_s: Virtual seconds to load a checkpoint.
        keep_in_memory: Whether checkpoints are kept in memory, in place of the directories of
            their trials. Then a run cannot be resumed by another process.
        clock: The virtual clock, which :meth:`wait` moves on. None makes one that starts at the
            Unix epoch.

    Raises:
        ValueError: for a negative amount or duration.

    Example:
        >>> class Decay:
        ...     def __init__(self, config):
        ...         self.rate, self.loss = config["rate"], 1.0
        ...     def step(self):
        ...         self.loss *= self.rate
        ...         return {"loss": self.loss, "time_this_iter_s": 60.0}
        ...     def get_state(self):
        ...         return self.loss
        ...     def set_state(self, state):
        ...         self.loss = state
        >>> SimulatedExecutor(Decay, num_cpus=2).resources()["CPU"]
        2.0
    """

    abilities = Abilities(own_processes=False, real_time=False)

    def __init__(
        self,
        make: MakeTrainable,
        *,
        num_cpus: float = 4,
        num_gpus: float = 0,
        resources: Mapping[str, float] | None = None,
        step_s: float = 1.0,
        start_s: float = 0.0,
        save_s: float = 0.0,
        restore_s: float = 0.0,
        keep_in_memory: bool = False,
        clock: ManualClock | None = None,
    ) -> None:
        if not callable(make):
            raise ValueError(
                "make must be a class or a function that makes a simulated trainable of a config, "
                f"but got {make!r}."
            )
        durations_s = {
            messages.Construct: start_s,
            messages.Save: save_s,
            messages.Restore: restore_s,
            messages.Train: step_s,
        }
        for name, value in durations_s.items():
            if not 0 <= value < math.inf:
                raise ValueError(
                    f"The seconds that {name.__name__} takes must be a finite number, at least 0, "
                    f"but got {value!r}."
                )
        super().__init__(num_cpus, num_gpus, resources)
        self._make = make
        self._durations_s = durations_s
        self._clock = clock if clock is not None else ManualClock()
        self._states: StateStore = StatesInMemory() if keep_in_memory else StatesInFiles()
        if keep_in_memory:
            self.abilities = replace(self.abilities, shares_storage=False)
        self._hosts: dict[int, SimulatedHost] = {}
        # (time, number, events). Of equal times, the lower number comes first. The events of a
        # cancelled entry are empty.
        self._timeline: list[tuple[float, int, list[WorkerEvent]]] = []
        self._in_flight: dict[int, list[WorkerEvent]] = {}  # {worker id: its latest events}
        self._numbers = itertools.count()
        self._woken = False

    @property
    def clock(self) -> Clock:
        return self._clock

    def open(
        self, program: WorkerProgram, on_output: Callable[[str, str], None] | None = None
    ) -> None:
        self._woken = False

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        self._hosts[worker_id] = SimulatedHost(
            self._make, self._states, self._clock, self._durations_s[messages.Train]
        )
        self.send(worker_id, command)

    def send(self, worker_id: int, command: messages.Command) -> None:
        host = self._hosts.get(worker_id)
        if host is None:
            return
        is_step = isinstance(command, messages.Train)
        try:
            reply = host.handle(command)
        except SimulatedCrash as crash:
            self._end(worker_id, host.step_s if is_step else 0.0, [], WorkerExit(crash.exit_code))
            return
        duration_s = host.step_s if is_step else self._durations_s.get(type(command), 0.0)
        if isinstance(reply, messages.Failed) and reply.fatal:
            self._end(worker_id, duration_s, [Replied(worker_id, reply)], WorkerExit(1))
        else:
            self._schedule(worker_id, duration_s, [Replied(worker_id, reply)])

    def stop_worker(self, worker_id: int, reason: str, *, force: bool = False) -> None:
        if worker_id not in self._hosts:
            return
        in_flight = self._in_flight[worker_id]
        saved = [each for each in in_flight if _is_saved(each)]
        in_flight.clear()
        if force:
            self._end(worker_id, 0.0, [], WorkerExit(-SIGKILL))
        else:
            stopped = Replied(worker_id, messages.Stopped())
            self._end(worker_id, 0.0, [*saved, stopped], WorkerExit(0))

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        if self._woken:
            self._woken = False
            return []
        due_s = self._next_due_s()
        end_s = math.inf if timeout_s is None else self._clock.monotonic() + timeout_s
        if due_s <= end_s and due_s < math.inf:
            self._clock.advance_to(due_s)
            events = heapq.heappop(self._timeline)[2]
            told = list(events)
            # A stop must not return these events a second time.
            events.clear()
            return told
        if end_s == math.inf:
            raise LocaltuneInternalError(
                "A simulated run waits for an event, and there is nothing that could happen."
            )
        self._clock.advance_to(end_s)
        return []

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        self._hosts.clear()
        self._in_flight.clear()
        self._timeline.clear()
        self.slots.clear()

    def forget_checkpoint(self, path: str) -> None:
        """Removes a checkpoint from memory.

        Args:
            path: Its path, as in ``Saved``.
        """
        self._states.forget(path)

    def _next_due_s(self) -> float:
        timeline = self._timeline
        while timeline and not timeline[0][2]:
            heapq.heappop(timeline)
        return timeline[0][0] if timeline else math.inf

    def _schedule(self, worker_id: int, duration_s: float, events: list[WorkerEvent]) -> None:
        self._in_flight[worker_id] = events
        due_s = self._clock.monotonic() + duration_s
        heapq.heappush(self._timeline, (due_s, next(self._numbers), events))

    def _end(
        self, worker_id: int, duration_s: float, events: list[WorkerEvent], exit: WorkerExit
    ) -> None:
        self._schedule(worker_id, duration_s, [*events, Exited(worker_id, exit)])
        del self._hosts[worker_id], self._in_flight[worker_id]


def _is_saved(event: WorkerEvent) -> bool:
    return isinstance(event, Replied) and isinstance(event.reply, messages.Saved)
