"""The state that is stored beside the trials, and its restoration."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from localtune.callback import CallbackList
from localtune.controller.kept_state import KeptState, dump, load
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.stopper import MaximumIterationStopper, NoopStopper
from localtune.stopper.base import Stopper
from localtune.trial.trial import Trial


class Remembering(FIFOScheduler):
    def __init__(self) -> None:
        self.seen: Any = []


def kept(scheduler: Any = None, stopper: Stopper | None = None) -> KeptState:
    searcher = BasicVariantGenerator()
    searcher.setup({}, 1)
    return KeptState(
        searcher, scheduler or FIFOScheduler(), stopper or NoopStopper(), CallbackList([])
    )


def test_what_has_no_state_is_not_written() -> None:
    assert set(kept().due(trials_changed=True, force=True)) == {"searcher"}
    assert kept().due(trials_changed=False) == {}


def test_trials_in_a_state_are_those_of_the_resumed_run() -> None:
    old, new = Trial("t", trial_id="a"), Trial("t", trial_id="a")
    data = dump({"best": old, "seen": {old: 1}})
    assert load(data, [new]) == {"best": new, "seen": {new: 1}}
    assert b"trainable_name" not in data


def test_only_changed_parts_are_written_again() -> None:
    scheduler = Remembering()
    state = kept(scheduler, MaximumIterationStopper(3))
    assert {"scheduler", "stopper"} <= set(state.due(trials_changed=False, force=True))
    assert set(state.due(trials_changed=False, force=True)) == {"searcher"}
    scheduler.seen.append(1)
    assert "scheduler" in state.due(trials_changed=False, force=True)


def test_a_state_that_cannot_be_kept_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Remembering()
    scheduler.seen = threading.Lock()
    state = kept(scheduler)
    for _ in range(2):
        assert "scheduler" not in state.due(trials_changed=True, force=True)
    (record,) = caplog.records
    assert "The state of the scheduler cannot be kept" in record.getMessage()
