"""Simulated runs whose clock passes while the parent works.

::

      virtual time:  jumps to the next answer, and passes while the parent works
      a step:        takes its recorded time, in a slot of its own
      the parent:    is real: decodes answers, decides, writes the database and the files of results

All times are processor times, which a busy machine disturbs least.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import localtune as tune
from localtune.clock import Clock, ManualClock
from localtune.execution.executor import Replied, WorkerEvent
from localtune.execution.simulated import SimulatedExecutor
from localtune.testing.curves import Curves, CurveTrainable
from localtune.worker import messages


class WorkClock(ManualClock):
    """Passes while this process works, and jumps besides."""

    def __init__(self) -> None:
        super().__init__()
        self._left_out_s = time.process_time()

    def worked_s(self) -> float:
        """Returns the processor seconds of the parent since the clock was made."""
        return time.process_time() - self._left_out_s

    def monotonic(self) -> float:
        return super().monotonic() + self.worked_s()

    def time(self) -> float:
        return super().time() + self.worked_s()

    def advance_to(self, reading_s: float) -> None:
        self.advance(max(reading_s - self.monotonic(), 0.0))

    def leave_out(self, worked_s: float) -> None:
        """Leaves out work that a worker would do, in a process of its own."""
        self._left_out_s += worked_s


class PacedExecutor(SimulatedExecutor):
    """Answers when the recorded time of a step is over; its messages go through a socket.

    Args:
        *places: As the simulated executor that it is mixed into takes them.
        **settings: The same.
    """

    def __init__(self, *places: Any, **settings: Any) -> None:
        self.work_clock = WorkClock()
        super().__init__(*places, clock=self.work_clock, **settings)
        # Time passes by itself.
        self.abilities = replace(self.abilities, real_time=True)
        self._parents, self._workers = socket.socketpair()

    @property
    def clock(self) -> Clock:
        return self.work_clock

    def send(self, worker_id: int, command: messages.Command) -> None:
        self._parents.send(messages.encode(command))
        began = time.process_time()
        messages.decode(self._workers.recv(1 << 20))
        super().send(worker_id, command)
        self.work_clock.leave_out(time.process_time() - began)

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        events = super().wait(timeout_s)
        # One wait takes in all that has arrived, as that of processes does.
        while events and (more := super().wait(0.0)):
            events += more
        return [self._received(each) if isinstance(each, Replied) else each for each in events]

    def _received(self, event: Replied) -> Replied:
        began = time.process_time()
        self._workers.send(messages.encode_reply(event.reply))
        self.work_clock.leave_out(time.process_time() - began)
        return Replied(event.worker_id, messages.read_reply(self._parents.recv(1 << 20)))

    def close(self) -> None:
        super().close()
        self._parents.close()
        self._workers.close()


class Meter(tune.Callback):
    """Adds up the steps and the parent's work between two results.

    Args:
        clock: The clock of the run.
        first: Number of the result at which it begins.
        last: Number of the result at which it ends.
    """

    def __init__(self, clock: WorkClock, first: int, last: int) -> None:
        self._clock = clock
        self._marks = (first, last)
        self._began = (0.0, 0.0)
        self.count = 0
        self.steps_s = self.elapsed_s = self.worked_s = 0.0

    def on_trial_result(self, *args: Any, result: dict[str, Any], **info: Any) -> None:
        self.count += 1
        first, last = self._marks
        if self.count == first:
            self._began = self._clock.monotonic(), self._clock.worked_s()
        elif first < self.count <= last:
            self.steps_s += result["time_this_iter_s"]
            self.elapsed_s = self._clock.monotonic() - self._began[0]
            self.worked_s = self._clock.worked_s() - self._began[1]

    @property
    def results_per_s(self) -> float:
        """Rate of the results that were counted."""
        return (self._marks[1] - self._marks[0]) / self.elapsed_s

    @property
    def work_per_result_s(self) -> float:
        """Processor seconds of the parent for each of them."""
        return self.worked_s / (self._marks[1] - self._marks[0])


def stretched(curves: Curves, factor: float) -> Callable[[dict[str, Any]], CurveTrainable]:
    """Returns what makes trials that replay recorded networks.

    Args:
        curves: The networks.
        factor: A step takes so many times as long as it was recorded.
    """

    def make(config: dict[str, Any]) -> CurveTrainable:
        steps = curves.results(config["row"])
        scaled = [{**each, "time_this_iter_s": each["time_this_iter_s"] * factor} for each in steps]
        return CurveTrainable(scaled)

    return make
