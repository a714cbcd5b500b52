"""The ends of trials."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller.workers import Phase
from localtune.schedulers import FIFOScheduler
from localtune.trial.status import Status
from tests.controller.parts import Parts


class Notes(FIFOScheduler):
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_trial_complete(self, *_: Any) -> None:
        self.told.append("complete")

    def on_trial_remove(self, *_: Any) -> None:
        self.told.append("remove")


def test_a_running_trial_is_completed_and_its_worker_released() -> None:
    parts = Parts(scheduler=(scheduler := Notes()))
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.ends.complete(worker, trial)
    assert trial.status is Status.TERMINATED and worker.phase is Phase.STOPPING
    assert scheduler.told == ["complete"]
    assert parts.kinds() == ["StopWorker", "Notify", "Persist"]
    parts.record.validate()


@pytest.mark.parametrize("status", [Status.PENDING, Status.PAUSED, Status.ERROR])
def test_a_trial_without_a_worker_is_removed(status: Status) -> None:
    parts = Parts(scheduler=(scheduler := Notes()))
    trial = parts.add_trial(status)
    if status is Status.ERROR:
        parts.record.retry_times[trial.trial_id] = 5.0
    parts.ends.remove(trial)
    assert trial.status is Status.TERMINATED and not parts.record.retry_times
    assert scheduler.told == ["remove"]
    assert parts.kinds() == ["Notify", "Persist"]
    parts.record.validate()


def test_a_trial_that_was_cut_short_in_its_last_save_has_ended_well() -> None:
    parts = Parts()
    _, trial = parts.add_running(Phase.SAVING)
    parts.shutdown.cut_short("the time is up")
    parts.ends.end_well(trial)
    assert trial.status is Status.TERMINATED and trial.cut_short is None
