"""Which trials start, and in which workers."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller import instructions
from localtune.controller.starter import Starter
from localtune.controller.workers import Phase
from localtune.error import ResourceRequestError
from localtune.execution.local_slots import LocalSlots
from localtune.schedulers import FIFOScheduler
from localtune.trial.status import Status
from tests.controller.parts import Parts, save


def make_starter(
    parts: Parts, max_concurrent_trials: int = 0, *, ends_with_function: bool = False
) -> Starter:
    return Starter(
        parts.record,
        parts.out,
        parts.commands,
        parts.deciders,
        parts.requests,
        parts.shutdown,
        parts.clock,
        max_concurrent_trials,
        ends_with_function=ends_with_function,
    )


def test_trials_start_while_resources_are_free() -> None:
    parts = Parts(3)
    trials = [parts.add_trial() for _ in range(3)]
    starter = make_starter(parts)
    starter.start_chosen()
    assert [trial.status for trial in trials] == ["RUNNING", "RUNNING", "PENDING"]
    assert parts.kinds() == ["PrepareTrial", "Persist", "StartWorker"] * 2
    assert not starter.scheduler_waits
    parts.record.validate()


def test_a_worker_is_told_at_its_start_what_follows_from_it() -> None:
    parts = Parts(2)
    starter = make_starter(parts, ends_with_function=True)
    trials = [parts.add_trial(), parts.add_trial()]
    save(trials[1])  # It restores a checkpoint before it trains.
    starter.start_chosen()
    starts = [each for each in parts.out.take() if isinstance(each, instructions.StartWorker)]
    assert [each.trains_at_once for each in starts] == [True, False]
    assert all(each.ends_with_function for each in starts)


@pytest.mark.parametrize("limit", ["max_concurrent_trials", "max_running"])
def test_limits_hold(limit: str) -> None:
    parts = Parts(3)
    trials = [parts.add_trial() for _ in range(2)]
    parts.record.max_running = 1 if limit == "max_running" else None
    make_starter(parts, int(limit == "max_concurrent_trials")).start_chosen()
    assert [trial.status for trial in trials] == ["RUNNING", "PENDING"]


def test_a_trial_starts_again_when_its_former_worker_has_gone() -> None:
    parts = Parts()
    worker, trial = parts.add_running()
    parts.commands.pause(worker, trial)
    starter = make_starter(parts)
    assert not starter.start(trial)
    parts.record.workers.remove(worker)
    assert starter.start(trial)


def test_an_idle_worker_is_reset_for_the_next_trial() -> None:
    parts = Parts(2, may_reuse_workers=True)
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.ends.complete(worker, trial)
    following = parts.add_trial()
    parts.out.take()
    assert make_starter(parts).start(following)
    assert worker.trial is following and worker.phase is Phase.RESETTING
    assert parts.kinds() == ["PrepareTrial", "Persist", "ResetWorker"]


def test_the_history_is_cut_back_to_the_checkpoint() -> None:
    parts = Parts()
    trial = parts.add_trial()
    save(trial).result_count = 3
    trial.result_count = 5
    make_starter(parts).start(trial)
    prepare = parts.out.take()[0]
    assert isinstance(prepare, instructions.PrepareTrial)
    assert (trial.result_count, prepare.is_first, prepare.is_known) == (3, True, False)


def test_a_scheduler_that_chooses_a_running_trial_ends_the_run() -> None:
    class Odd(FIFOScheduler):
        def choose_trial_to_run(self, tune_controller: Any) -> Any:
            return tune_controller.get_trials()[0]

    parts = Parts(2, scheduler=Odd())
    parts.add_running()
    parts.add_trial()
    make_starter(parts).start_chosen()
    assert "only pending and paused trials can start" in str(parts.record.error)


def test_idle_workers_end_when_no_trial_is_left_for_them() -> None:
    parts = Parts(1, may_reuse_workers=True)
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.ends.complete(worker, trial)
    waiting = parts.add_trial(Status.PAUSED)
    make_starter(parts).release_idle()
    assert parts.record.workers.idle() == [worker]
    parts.ends.remove(waiting)
    make_starter(parts).release_idle()
    assert worker.phase is Phase.STOPPING


class Shrinking(LocalSlots):
    """A machine that loses its CPUs while a run goes on."""

    def lose_all(self) -> None:
        self._total = {"CPU": 0.0}
        self.clear()


def test_a_trial_that_can_run_no_more_ends_the_run_when_no_worker_is_left() -> None:
    slots = Shrinking(1, 0)
    parts = Parts(slots=slots)
    trial = parts.add_trial()
    slots.lose_all()
    assert not make_starter(parts).start(trial)
    assert isinstance(parts.record.error, ResourceRequestError)
    assert "can never run" in str(parts.record.error)


def test_a_trial_waits_where_a_slot_may_come_later() -> None:
    slots = LocalSlots(1, 0)
    parts = Parts(slots=slots)
    trial = parts.add_trial()
    slots.limit(0, "nothing is up yet")
    starter = make_starter(parts)
    assert not starter.start(trial)
    assert parts.record.error is None
    slots.limit(None)
    slots.clear()
    assert starter.start(trial)
