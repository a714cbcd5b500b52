from __future__ import annotations

import dataclasses
import pickle

import pytest

from localtune.search import Suggestion

SUGGESTION = Suggestion("abcde_00000", {"lr": 0.1}, {"lr": 0.1}, "0_lr=0.1000")


def test_a_suggestion_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SUGGESTION.trial_id = "other"  # type: ignore[misc]


def test_a_suggestion_can_be_compared_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(SUGGESTION)) == SUGGESTION
