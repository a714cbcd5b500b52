"""Runs in which nothing is left to wait for."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller.creator import Creator
from localtune.controller.standstill import Standstill
from localtune.controller.starter import Starter
from localtune.schedulers import FIFOScheduler
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.controller.parts import Parts
from tests.controller.settings import make_settings


class Forgetful(FIFOScheduler):
    """Chooses no trial unless it learns that the run stands still, and only if it listens."""

    def __init__(self, *, listens: bool = False) -> None:
        self.listens = listens

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        is_heard = self.listens and tune_controller.is_stuck
        return super().choose_trial_to_run(tune_controller) if is_heard else None


class Scene:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.creator = Creator(
            make_settings(), parts.record, parts.out, parts.deciders, parts.shutdown
        )
        self.starter = Starter(
            parts.record,
            parts.out,
            parts.commands,
            parts.deciders,
            parts.requests,
            parts.shutdown,
            parts.clock,
        )
        self.standstill = Standstill(
            parts.record,
            parts.out,
            parts.deciders,
            self.creator,
            self.starter,
            parts.shutdown,
            parts.clock,
        )

    def turn(self) -> None:
        self.starter.start_chosen()
        self.creator.create()
        self.standstill.check()


@pytest.mark.parametrize("listens", [False, True])
def test_a_trial_that_the_scheduler_lets_wait_runs_when_nothing_else_is_left(listens: bool) -> None:
    parts = Parts(1, scheduler=Forgetful(listens=listens))
    trial = parts.add_trial(Status.PAUSED)
    Scene(parts).turn()
    assert trial.status is Status.RUNNING and not parts.view.is_stuck
    assert ("Warn" in parts.kinds()) is not listens


def test_while_a_trial_runs_or_a_retry_is_due_others_may_wait() -> None:
    parts = Parts(2, scheduler=Forgetful())
    parts.add_running()
    waiting = parts.add_trial(Status.PAUSED)
    Scene(parts).turn()
    assert waiting.status is Status.PAUSED
    other = Parts(2, scheduler=Forgetful())
    failed, waiting = other.add_trial(Status.ERROR), other.add_trial(Status.PAUSED)
    other.record.retry_times[failed.trial_id] = 5.0
    Scene(other).turn()
    assert waiting.status is Status.PAUSED


def test_a_searcher_that_suggests_nothing_is_asked_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = Parts(1)
    monkeypatch.setattr(parts.searcher, "next_suggestion", lambda: None)
    scene = Scene(parts)
    scene.turn()
    assert scene.standstill.polled_since == parts.clock.monotonic()
    parts.clock.advance(599)
    scene.turn()
    assert not parts.record.is_ending
    parts.clock.advance(2)
    scene.turn()
    assert "suggested nothing for 600 s" in str(parts.record.error)
