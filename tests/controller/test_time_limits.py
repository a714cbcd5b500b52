"""The times from which trials take too long."""

from __future__ import annotations

import random
from typing import Any

import pytest

from localtune.config.failure import FailureConfig
from localtune.controller.limits import limit_of
from localtune.controller.time_limits import TimeLimits
from localtune.controller.workers import Phase, Worker
from localtune.execution.local_slots import LocalSlots
from tests.controller.parts import Parts


class Scene:
    """Workers that have commands in flight, and the limits of their trials."""

    def __init__(self, workers: int, **options: Any) -> None:
        self.config = FailureConfig(**options)
        self.parts = Parts(slots=LocalSlots(workers, 0))
        self.workers = [self.parts.add_running()[0] for _ in range(workers)]
        self.table = self.parts.record.workers
        self.limits = TimeLimits(self.config, self.table)

    def command(self, worker: Worker, now: float, run_time_s: float = 0.0) -> None:
        assert worker.trial is not None
        worker.trial.run_time_s = run_time_s
        self.table.note_command(worker, worker.phase, now)


def test_a_command_that_takes_exactly_as_long_as_it_may_is_in_time() -> None:
    scene = Scene(2, iteration_timeout_s=10)
    first, second = scene.workers
    scene.command(first, 5.0)
    scene.command(second, 8.0)
    assert scene.limits.next() == pytest.approx(15.0)
    assert scene.limits.take_over(15.0) == []
    assert scene.limits.take_over(16.0) == [first]
    assert scene.limits.take_over(16.0) == [], "each is given once"
    assert scene.limits.take_over(20.0) == [second]
    assert scene.limits.next() is None


def test_a_command_moves_the_limit_of_a_step() -> None:
    scene = Scene(1, iteration_timeout_s=10)
    (worker,) = scene.workers
    scene.command(worker, 0.0)
    assert scene.limits.take_over(0.0) == []
    scene.command(worker, 9.0)
    assert scene.limits.take_over(11.0) == []
    assert scene.limits.next() == pytest.approx(19.0)
    assert scene.limits.take_over(19.5) == [worker]


def test_a_trial_that_has_run_before_has_less_time_left() -> None:
    scene = Scene(1, trial_timeout_s=21)
    (worker,) = scene.workers
    scene.command(worker, 0.0)
    assert scene.limits.next() == pytest.approx(21.0)
    scene.command(worker, 8.0, run_time_s=20.0)
    assert scene.limits.next() == pytest.approx(9.0)
    assert scene.limits.take_over(9.5) == [worker]


def test_a_worker_at_rest_is_not_late_until_its_next_command() -> None:
    scene = Scene(1, iteration_timeout_s=10)
    (worker,) = scene.workers
    scene.command(worker, 0.0)
    assert scene.limits.next() == pytest.approx(10.0)
    worker.phase = Phase.AT_REST
    assert scene.limits.take_over(60.0) == []
    worker.phase = Phase.TRAINING
    scene.command(worker, 60.0)
    assert scene.limits.next() == pytest.approx(70.0)


def test_workers_that_have_gone_or_lost_their_trial_are_not_late() -> None:
    scene = Scene(2, iteration_timeout_s=10)
    gone, idle = scene.workers
    for worker in scene.workers:
        scene.command(worker, 0.0)
    assert scene.limits.take_over(0.0) == []
    scene.table.remove(gone)
    scene.table.detach(idle, Phase.IDLE)
    assert scene.limits.take_over(60.0) == []


@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_trials_beyond_their_limits_are_found(seed: int) -> None:
    numbers = random.Random(seed)
    scene = Scene(5, iteration_timeout_s=10, trial_timeout_s=40)
    late: set[Worker] = set()
    for now in range(400):
        for worker in numbers.sample(scene.workers, numbers.choice([0, 1, 2])):
            if worker not in late:
                scene.command(worker, float(now), numbers.uniform(0.0, 45.0))
        if numbers.random() < 0.5:
            soonest = scene.limits.next()
            found = scene.limits.take_over(now + 0.5)
            beyond = {
                worker
                for worker in set(scene.workers) - late
                if worker.trial is not None
                and limit_of(scene.config, worker, worker.trial) <= now + 0.5
            }
            assert set(found) == beyond and len(found) == len(beyond)
            assert not beyond or (soonest is not None and soonest <= now + 0.5)
            late |= beyond
            for worker in beyond:
                scene.table.detach(worker, Phase.STOPPING)
        if numbers.random() < 0.1 and late:
            worker = late.pop()
            scene.workers.remove(worker)
            scene.table.remove(worker)
            scene.workers.append(scene.parts.add_running()[0])


def test_limits_take_no_memory_for_each_command() -> None:
    scene = Scene(2, trial_timeout_s=1000)
    for step in range(5000):
        # Each limit lies before the one before.
        scene.command(scene.workers[0], float(step), run_time_s=step * 1.01)
        scene.limits.take_over(float(step) - 1000.0)
    assert len(scene.limits._entries) < 200
