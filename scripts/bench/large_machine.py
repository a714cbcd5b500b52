"""How large a machine one parent feeds: the share of the time in which 64 and 256 slots compute.

::

      virtual time:  jumps to the next answer, and passes while the parent works
      a step:        takes its recorded time, in a slot of its own
      the parent:    is real: decodes answers, decides, writes the database and the files of results

The trials replay recorded networks, whose steps took 17 ms each on average (``--factor 1``), and
the same with steps of ten times that. The workers exist only as their messages, so that a machine
of any size can be asked for. Not counted is what the parent spends to start processes, and to wake
up. All times are processor times, which a busy machine disturbs least.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from _common import options, scratch_dir, verdict

import localtune as tune
from localtune.clock import Clock, ManualClock
from localtune.execution.executor import Replied, WorkerEvent
from localtune.execution.simulated import SimulatedExecutor
from localtune.testing.curves import CurveTrainable, digits_curves
from localtune.worker import messages

TARGET = 0.90
MEAN_STEP_S = 0.017


class WorkClock(ManualClock):
    """Passes while this process works, and jumps besides."""

    def monotonic(self) -> float:
        return super().monotonic() + time.process_time()

    def time(self) -> float:
        return super().time() + time.process_time()

    def advance_to(self, reading_s: float) -> None:
        self.advance(max(reading_s - self.monotonic(), 0.0))

    def leave_out(self, worked_s: float) -> None:
        """Leaves out work that a worker would do, in a process of its own."""
        self._passed_s -= worked_s


class PacedExecutor(SimulatedExecutor):
    """Answers when the recorded time of a step is over; its messages go through a socket."""

    def __init__(self, make: Callable[[dict[str, Any]], Any], slots: int) -> None:
        self._time = WorkClock()
        super().__init__(make, num_cpus=slots, keep_in_memory=True, clock=self._time)
        # Time passes by itself, and the paths of trials are real.
        self.abilities = replace(self.abilities, real_time=True, shares_storage=True)
        self._parents, self._workers = socket.socketpair()

    @property
    def clock(self) -> Clock:
        return self._time

    def send(self, worker_id: int, command: messages.Command) -> None:
        self._parents.send(messages.encode(command))
        began = time.process_time()
        messages.decode(self._workers.recv(1 << 20))
        super().send(worker_id, command)
        self._time.leave_out(time.process_time() - began)

    def wait(self, timeout_s: float | None) -> list[WorkerEvent]:
        events = super().wait(timeout_s)
        # One wait takes in all that has arrived, as that of processes does.
        while events and (more := super().wait(0.0)):
            events += more
        return [self._received(each) if isinstance(each, Replied) else each for each in events]

    def _received(self, event: Replied) -> Replied:
        began = time.process_time()
        self._workers.send(messages.encode_reply(event.reply))
        self._time.leave_out(time.process_time() - began)
        return Replied(event.worker_id, messages.read_reply(self._parents.recv(1 << 20)))

    def close(self) -> None:
        super().close()
        self._parents.close()
        self._workers.close()


class Meter(tune.Callback):
    """Adds up the steps between the first tenth of the results and the last three tenths."""

    def __init__(self, clock: Clock, results: int) -> None:
        self._clock = clock
        self._marks = (results // 10, results * 7 // 10)
        self._count = 0
        self._began_s = 0.0
        self.steps_s = self.elapsed_s = 0.0

    def on_trial_result(self, *args: Any, result: dict[str, Any], **info: Any) -> None:
        self._count += 1
        if self._count == self._marks[0]:
            self._began_s = self._clock.monotonic()
        elif self._marks[0] < self._count <= self._marks[1]:
            self.steps_s += result["time_this_iter_s"]
            self.elapsed_s = self._clock.monotonic() - self._began_s

    @property
    def results_per_s(self) -> float:
        """Rate of the results that were counted."""
        return (self._marks[1] - self._marks[0]) / self.elapsed_s


def fed(slots: int, factor: float, trials: int) -> tuple[float, float]:
    """Returns the share of the time in which the slots compute, and the results per second."""
    curves = digits_curves()

    def make(config: dict[str, Any]) -> CurveTrainable:
        steps = curves.results(config["row"])
        scaled = [{**each, "time_this_iter_s": each["time_this_iter_s"] * factor} for each in steps]
        return CurveTrainable(scaled)

    executor = PacedExecutor(make, slots)
    meter = Meter(executor.clock, trials * 50)
    with scratch_dir() as directory:
        results = tune.Tuner(
            make,
            param_space=curves.table_space,
            tune_config=tune.TuneConfig(num_samples=trials, metric="accuracy", mode="max"),
            run_config=tune.RunConfig(
                storage_path=os.fspath(directory), verbose=0, callbacks=[meter]
            ),
            executor=executor,
        ).fit()
    assert results.num_terminated == trials
    return meter.steps_s / (slots * meter.elapsed_s), meter.results_per_s


def main() -> None:
    given = options(__doc__, rounds=1, factor=1)
    for slots in (64, 256):
        for factor in (given.factor, 10 * given.factor):
            runs = [fed(slots, factor, 3 * slots) for _ in range(given.rounds)]
            share, rate = sorted(runs)[len(runs) // 2]
            verdict(
                f"{slots} slots, steps of {MEAN_STEP_S * factor:.2g} s: share computing",
                share,
                at_least=TARGET,
                detail=f"{rate:,.0f} results/s; all slots would give "
                f"{slots / MEAN_STEP_S / factor:,.0f}",
            )
    _, most = fed(256, 0.0, 256)
    print(f"{'':<13} at most {most:,.0f} results/s, if steps take no time")


if __name__ == "__main__":
    main()
