"""Reservations of a run when nodes are starting, or may be cut off."""

from __future__ import annotations

import time

import pytest

from localtune.execution.cluster.local import LocalEngine
from localtune.execution.cluster.reservations import Reservations, Use
from localtune.resources import PlacementGroupFactory

ONE = PlacementGroupFactory([{"CPU": 1}])


@pytest.mark.parametrize("use", [Use.SOON, Use.PERHAPS])
def test_a_trial_waits_for_a_node_that_starts_and_not_for_one_that_may_be_cut_off(
    use: Use,
) -> None:
    uses: dict[str, Use] = {}
    reservations = Reservations(
        LocalEngine([{"CPU": 1}] * 2), lambda each: uses.get(each, Use.NOW), time.monotonic, 30
    )
    assert reservations.take(ONE) is None
    taken = reservations.take(ONE)
    assert taken is not None
    key, (place,) = taken
    reservations.give_back(key)
    uses[place.node_id] = use

    assert reservations.take(ONE) is None
    other = reservations.take(ONE)
    assert (other is not None) == (use is Use.PERHAPS)
    if other is not None:
        assert other[1][0].node_id != place.node_id
    uses[place.node_id] = Use.NOW
    again = reservations.take(ONE)
    assert again is not None and again[0] == key
