"""Which trials are created, and when."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller.creator import Creator
from localtune.error import ResourceRequestError
from localtune.resources import resource_dict_to_pg_factory
from localtune.trial.status import Status
from tests.controller.parts import Parts, make_trial
from tests.controller.settings import make_settings


def make_creator(parts: Parts, **options: Any) -> Creator:
    return Creator(
        make_settings(**options), parts.record, parts.out, parts.deciders, parts.shutdown
    )


def test_a_few_trials_are_created_at_once_until_none_is_left() -> None:
    parts = Parts(6)
    creator = make_creator(parts)
    assert creator.has_work and creator.create()
    creator.look_ahead()
    assert len(parts.record.trials) == 4 and creator.has_work
    assert creator.create()
    creator.look_ahead()
    assert len(parts.record.trials) == 6 and not creator.has_work
    assert not creator.create()
    assert parts.kinds() == ["Persist"] * 6
    parts.record.validate()


@pytest.mark.parametrize("options", [{"max_concurrent_trials": 2}, {"lookahead": 2}])
def test_limits_hold(options: dict[str, Any]) -> None:
    parts = Parts(6)
    creator = make_creator(parts, **options)
    creator.create()
    assert len(parts.record.trials) == 2 and not creator.can_create()


def test_where_many_trials_may_wait_several_are_created_at_once() -> None:
    parts = Parts(30)
    creator = make_creator(parts, lookahead=8)
    for expected in (4, 8):
        assert creator.create() and len(parts.record.trials) == expected
    for trial in parts.record.trials[:3]:
        parts.record.move(trial, Status.RUNNING)
        creator.look_ahead()
        assert not creator.has_work and not creator.can_create() and not creator.create()
    parts.record.move(parts.record.trials[3], Status.RUNNING)

    assert creator.create() and len(parts.record.trials) == 12


def test_a_searcher_with_nothing_to_suggest_is_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = Parts(6)
    creator = make_creator(parts)
    monkeypatch.setattr(parts.searcher, "next_suggestion", lambda: None)
    assert not creator.create()
    assert creator.searcher_waits and not creator.has_work and creator.can_create()


def test_a_trial_that_can_never_run_ends_the_run() -> None:
    parts = Parts(6)
    creator = make_creator(parts, request={"cpu": 3})
    assert not creator.create()
    assert isinstance(parts.record.error, ResourceRequestError) and not parts.record.trials


def test_trials_of_an_earlier_session_are_adopted() -> None:
    parts = Parts(2)
    ended, waiting = make_trial("a"), make_trial("b")
    ended.set_status(Status.TERMINATED)
    make_creator(parts).adopt([ended, waiting])
    assert parts.record.trials == [ended, waiting] and [*parts.record.live] == ["b"]
    many = make_trial("c")
    many.placement_group_factory = resource_dict_to_pg_factory({"cpu": 3})
    with pytest.raises(ResourceRequestError, match="can never run"):
        make_creator(parts).adopt([many])
