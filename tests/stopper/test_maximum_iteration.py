from __future__ import annotations

import pickle
from typing import Any

import pytest

from localtune.stopper import MaximumIterationStopper, Stopper
from localtune.testing.stopper_contract import StopperContract


def test_each_trial_stops_after_so_many_results() -> None:
    stopper = MaximumIterationStopper(max_iter=2)

    assert not stopper("a", {"training_iteration": 100})
    assert not stopper("b", {})
    assert stopper("a", {})
    assert stopper("a", {})
    assert not stopper.stop_all()


def test_a_pickled_stopper_goes_on_counting() -> None:
    stopper = MaximumIterationStopper(2)
    stopper("a", {})

    assert pickle.loads(pickle.dumps(stopper))("a", {})


@pytest.mark.parametrize("max_iter", [0, -1, 2.5, "3", None])
def test_a_number_out_of_its_range_is_refused(max_iter: Any) -> None:
    with pytest.raises(ValueError, match="max_iter must be a whole number, at least 1"):
        MaximumIterationStopper(max_iter)


# -- the suite of all -----------------------------------------------------------------------------


class TestMaximumIteration(StopperContract):
    def make_stopper(self) -> Stopper:
        return MaximumIterationStopper(4)
