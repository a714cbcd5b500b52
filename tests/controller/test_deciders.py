"""The searcher, the scheduler and the stopper, and what their exceptions lead to."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.error import TuneError
from localtune.schedulers import FIFOScheduler
from localtune.stopper.base import Stopper
from localtune.trial.status import Status
from tests.controller.parts import Parts


class Decides(FIFOScheduler):
    def __init__(self, decision: Any) -> None:
        self.decision = decision

    def on_trial_result(self, *_: Any) -> Any:
        return self.decision


class Raises(FIFOScheduler):
    """Raises in the hook of this name."""

    def __init__(self, hook: str, error: Exception) -> None:
        self._error = error
        setattr(self, hook, self._strike)

    def _strike(self, *_: Any) -> Any:
        raise self._error


class RaisesToo(Stopper):
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        raise KeyError("oops")

    def stop_all(self) -> bool:
        raise KeyError("oops")


@pytest.mark.parametrize("decision", ["CONTINUE", "PAUSE", "NOOP", "STOP"])
def test_the_searcher_learns_of_results_of_trials_that_go_on(
    decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(scheduler=Decides(decision))
    trial = parts.add_trial()
    told: list[Any] = []
    monkeypatch.setattr(parts.searcher, "on_trial_result", lambda *given: told.append(given))
    assert parts.deciders.decide(trial, {"loss": 1}) == decision
    assert told == ([] if decision == "STOP" else [(trial.trial_id, {"loss": 1})])


@pytest.mark.parametrize("decision", ["GO", None, 1])
def test_any_other_decision_ends_the_run(decision: Any) -> None:
    parts = Parts(scheduler=Decides(decision))
    parts.deciders.decide(parts.add_trial(), {})
    assert parts.record.is_ending
    assert "The scheduler Decides must decide CONTINUE" in str(parts.record.error)
    assert repr(decision) in str(parts.record.error)


@pytest.mark.parametrize(
    ("hook", "call"),
    [
        ("on_trial_add", "add"),
        ("on_trial_error", "fail"),
        ("on_trial_remove", "remove"),
    ],
)
def test_a_scheduler_that_raises_ends_the_run_with_its_traceback(hook: str, call: str) -> None:
    fault = KeyError("oops")
    parts = Parts()
    trial = parts.add_trial()
    parts.deciders.scheduler = Raises(hook, fault)
    getattr(parts.deciders, call)(trial)
    error = parts.record.error
    assert isinstance(error, TuneError) and error.__cause__ is fault
    assert str(error).startswith("The scheduler raised KeyError: 'oops'")
    assert "_strike" in str(error)


def test_an_error_of_localtune_is_kept_as_it_is() -> None:
    fault = TuneError("a rule is broken")
    parts = Parts()
    parts.deciders.scheduler = Raises("choose_trial_to_run", fault)
    assert parts.deciders.choose_trial() is None
    assert parts.record.error is fault


def test_a_stopper_that_raises_ends_the_run() -> None:
    parts = Parts(stopper=RaisesToo())
    trial = parts.add_trial()
    assert not parts.deciders.meets_stop_condition(trial, {})
    assert "The stopper raised KeyError" in str(parts.record.error)
    assert not parts.deciders.should_run_stop()


@pytest.mark.parametrize("hook", ["next_suggestion", "on_trial_complete"])
def test_a_searcher_that_raises_ends_the_run(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts()
    trial = parts.add_trial()

    def strike(*_: Any, **__: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(parts.searcher, hook, strike)
    if hook == "next_suggestion":
        assert parts.deciders.next_suggestion() is None
    else:
        parts.deciders.complete(trial, {})
    assert "The searcher raised KeyError" in str(parts.record.error)
    assert trial.status is Status.PENDING
