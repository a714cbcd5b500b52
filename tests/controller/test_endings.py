"""When a run ends before its trials have ended."""

from __future__ import annotations

from typing import Any

from localtune.controller.endings import Endings
from localtune.controller.workers import PAUSE, Phase
from localtune.stopper.base import Stopper
from localtune.trial.status import Status
from tests.controller.parts import Parts


class Spent(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return True


def make_endings(parts: Parts, **options: Any) -> Endings:
    return Endings(
        parts.record, parts.deciders, parts.requests, parts.shutdown, parts.clock, **options
    )


def test_the_time_budget_begins_with_the_first_check() -> None:
    parts = Parts()
    _, trial = parts.add_running()
    endings = make_endings(parts, time_budget_s=10)
    parts.clock.advance(100)
    endings.check()
    assert endings.deadline == parts.clock.monotonic() + 10 and not parts.record.is_ending
    parts.clock.advance(10)
    endings.check()
    assert trial.cut_short is Status.RUNNING and not endings.is_stopper_spent


def test_the_stop_conditions_end_a_run() -> None:
    parts = Parts(stopper=Spent())
    trial = parts.add_trial()
    endings = make_endings(parts)
    endings.check()
    assert trial.cut_short is Status.PENDING and endings.is_stopper_spent


def test_a_run_that_is_wound_down_ends_when_its_trials_are_saved() -> None:
    parts = Parts(2)
    worker, trial = parts.add_running()
    saving, _ = parts.add_running(Phase.SAVING)
    endings = make_endings(parts)
    endings.wind_down(grace_s=60)
    assert endings.is_winding_down and not parts.record.is_ending
    assert worker.pause_wanted and saving.decision == PAUSE
    for each in (worker, saving):
        assert each.is_ready and each.trial is not None
        parts.commands.pause(each, each.trial)
    endings.check_winding_down()
    assert parts.record.is_ending and trial.status is Status.PENDING


def test_a_run_that_is_wound_down_ends_after_its_grace_time() -> None:
    parts = Parts()
    parts.add_running()
    endings = make_endings(parts)
    endings.wind_down(grace_s=60)
    endings.check_winding_down()
    assert not parts.record.is_ending
    parts.clock.advance(60)
    endings.check_winding_down()
    assert parts.record.is_ending


def test_a_run_that_cannot_save_ends_at_once() -> None:
    parts = Parts()
    parts.add_running()
    make_endings(parts, can_save=False).wind_down(grace_s=60)
    assert parts.record.is_ending


def test_the_searcher_is_told_of_trials_that_do_not_go_on(monkeypatch: Any) -> None:
    parts = Parts(3)
    ended, waiting, cut = (parts.add_trial() for _ in range(3))
    told: list[str] = []
    monkeypatch.setattr(parts.searcher, "on_trial_complete", told.append)
    parts.record.end(ended, Status.TERMINATED)
    parts.record.end(cut, Status.TERMINATED)
    cut.cut_short = Status.PENDING
    make_endings(parts).close()
    assert told == [waiting.trial_id, cut.trial_id]
