"""The books on workers and resources."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller.workers import Phase, WorkerTable
from localtune.execution.local_slots import LocalSlots
from localtune.resources import resource_dict_to_pg_factory
from localtune.trial.trial import Trial


def make_trial(number: int = 0, request: dict[str, float] | None = None) -> Trial:
    factory = resource_dict_to_pg_factory(request or {"cpu": 1})
    return Trial("train", trial_id=f"t{number}", placement_group_factory=factory)


def table(**resources: Any) -> WorkerTable:
    return WorkerTable(LocalSlots(2, **resources))


def test_workers_are_hired_as_long_as_resources_are_free() -> None:
    workers = table()
    first, second = (workers.hire(make_trial(number)) for number in range(2))
    assert first is not None
    assert second is not None
    assert workers.hire(make_trial(2)) is None
    assert (len(workers), workers.serving_count) == (2, 2)
    assert [worker.worker_id for worker in workers] == [1, 2]
    workers.remove(first)
    assert workers.get(1) is None
    third = workers.hire(make_trial(2))
    assert third is not None
    assert third.worker_id == 3, "ids are not used again"


def test_no_more_workers_are_hired_than_can_be_served() -> None:
    slots = LocalSlots(8, 0)
    slots.limit(2, "the test says so. Change it")
    workers = WorkerTable(slots)
    first, _ = (workers.hire(make_trial(number)) for number in range(2))
    assert first is not None
    assert workers.hire(make_trial(2)) is None
    text = "No more than 2 trials run at once: the test says so. Change it."
    assert workers.why_no_more(make_trial(2)) == text
    workers.remove(first)
    assert workers.why_no_more(make_trial(2)) == ""
    assert workers.hire(make_trial(2)) is not None


def test_a_worker_that_is_stopping_holds_its_resources_until_it_is_gone() -> None:
    workers = table()
    trial = make_trial(0, {"cpu": 2})
    worker = workers.hire(trial)
    assert worker is not None
    workers.detach(worker, Phase.STOPPING)
    assert workers.of_trial(trial) is None
    assert workers.serving_count == 0
    assert workers.hire(make_trial(1)) is None
    workers.remove(worker)
    assert workers.hire(make_trial(1)) is not None


def test_an_idle_worker_serves_trials_with_the_same_request_only() -> None:
    workers = table()
    worker = workers.hire(make_trial())
    assert worker is not None
    assert workers.find_idle(make_trial(1)) is None
    workers.detach(worker, Phase.IDLE)
    assert workers.idle() == [worker]
    assert workers.find_idle(make_trial(1, {"cpu": 2})) is None
    other = make_trial(1)
    assert workers.find_idle(other) is worker
    workers.assign(worker, other)
    assert worker.phase is Phase.RESETTING
    assert workers.of_trial(other) is worker
    assert workers.idle() == []


def test_detaching_forgets_the_decision_for_the_trial() -> None:
    workers = table()
    worker = workers.hire(make_trial())
    assert worker is not None
    worker.decision, worker.pause_wanted = "PAUSE", True
    workers.detach(worker, Phase.IDLE)
    assert (worker.trial, worker.decision, worker.pause_wanted) == (None, "", False)


def test_each_worker_has_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    workers = table()
    ids = []
    for number in range(2):
        worker = workers.hire(make_trial(number, {"cpu": 1, "gpu": 1}))
        assert worker is not None
        ids.append(worker.slot.gpu_ids)
        assert worker.slot.environment == {"CUDA_VISIBLE_DEVICES": ids[-1][0]}
    assert sorted(ids) == [("4",), ("7",)]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [({"cpu": 2}, ""), ({"cpu": 3}, "CPU"), ({"cpu": 1, "gpu": 1}, "GPU"), ({"tpu": 1}, "tpu")],
)
def test_what_can_never_fit_is_explained(request_: dict[str, float], problem: str) -> None:
    reason = str(table(num_gpus=0).refusal_of(make_trial(0, request_)) or "")
    assert bool(reason) is bool(problem)
    assert problem in reason
