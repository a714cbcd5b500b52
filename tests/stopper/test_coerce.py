from __future__ import annotations

from typing import Any

import pytest

from localtune.stopper import (
    CombinedStopper,
    DictStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
)
from localtune.stopper.coerce import as_stopper


class LooksLikeAStopper:
    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return True

    def stop_all(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stop", "kind"),
    [
        (None, NoopStopper),
        ({"it": 3}, DictStopper),
        ({}, DictStopper),
        (lambda trial_id, result: True, FunctionStopper),
        ([MaximumIterationStopper(1)], CombinedStopper),
        ((MaximumIterationStopper(1),), CombinedStopper),
        ([], CombinedStopper),
    ],
)
def test_each_form_becomes_a_stopper(stop: Any, kind: type) -> None:
    assert type(as_stopper(stop)) is kind


def test_a_stopper_is_used_itself() -> None:
    stopper = MaximumIterationStopper(1)

    assert as_stopper(stopper) is stopper


def test_a_list_stops_when_any_of_it_does() -> None:
    stopper = as_stopper([MaximumIterationStopper(2), DictStopper({"acc": 1})])

    assert not stopper("t", {"acc": 0})
    assert stopper("t", {"acc": 0})
    assert stopper("u", {"acc": 1})


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        (5, "stop must be a dict"),
        ("training_iteration", "stop must be a dict"),
        (LooksLikeAStopper(), "must be an instance of Stopper"),
        (MaximumIterationStopper, "must be an instance of Stopper.*pass an instance"),
        ([{"it": 3}], "must be instances of Stopper"),
        ([lambda trial_id, result: True], "must be instances of Stopper"),
        ({"it": "3"}, "must be a number"),
    ],
)
def test_anything_else_is_refused(stop: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_stopper(stop)
