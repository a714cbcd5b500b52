from __future__ import annotations

import datetime
import math
import pickle
from typing import Any

import pytest

from localtune.stopper import Stopper, TimeoutStopper
from localtune.testing.clock import ManualClock
from localtune.testing.stopper_contract import StopperContract


@pytest.mark.parametrize("timeout", [10, 10.0, datetime.timedelta(seconds=10)])
def test_the_run_stops_when_its_time_is_up(timeout: Any, manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(timeout, manual_clock)

    assert not stopper.stop_all()
    manual_clock.advance(9.5)
    assert not stopper.stop_all()
    manual_clock.advance(0.5)
    assert stopper.stop_all()


def test_no_single_trial_stops(manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(0, manual_clock)

    assert stopper.stop_all()
    assert not stopper("t", {})


def test_time_begins_with_the_first_question(manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(10, manual_clock)
    manual_clock.advance(100)

    assert not stopper.stop_all()
    manual_clock.advance(10)
    assert stopper.stop_all()


def test_a_pickled_stopper_goes_on_with_the_remaining_time(manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(10, manual_clock)
    stopper.stop_all()
    manual_clock.advance(7)
    # The copy has a clock of its own.
    copied = pickle.loads(pickle.dumps((stopper, manual_clock)))
    later, clock = copied
    clock.advance(1000)

    assert not later.stop_all()
    clock.advance(2.5)
    assert not later.stop_all()
    clock.advance(0.5)
    assert later.stop_all()


def test_pickling_does_not_disturb_the_original(manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(10, manual_clock)
    stopper.stop_all()
    manual_clock.advance(7)
    pickle.dumps(stopper)
    manual_clock.advance(3)

    assert stopper.stop_all()


def test_a_stopper_pickled_before_its_start_has_all_its_time(manual_clock: ManualClock) -> None:
    stopper, clock = pickle.loads(pickle.dumps((TimeoutStopper(10, manual_clock), manual_clock)))

    assert not stopper.stop_all()
    clock.advance(9)
    assert not stopper.stop_all()


def test_a_stopper_whose_time_was_over_keeps_stopping(manual_clock: ManualClock) -> None:
    stopper = TimeoutStopper(10, manual_clock)
    stopper.stop_all()
    manual_clock.advance(20)

    assert pickle.loads(pickle.dumps(stopper)).stop_all()


def test_the_clock_of_the_machine_is_the_default() -> None:
    assert TimeoutStopper(0).stop_all()
    assert not TimeoutStopper(1e9).stop_all()


@pytest.mark.parametrize(
    "timeout", ["10", None, -1, math.nan, True, datetime.timedelta(seconds=-1)]
)
def test_another_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(ValueError, match="A timeout must be a number of seconds or a timedelta"):
        TimeoutStopper(timeout)


# -- the suite of all -----------------------------------------------------------------------------


class TestTimeout(StopperContract):
    def make_stopper(self) -> Stopper:
        return TimeoutStopper(10, ManualClock())


class TestTimeoutThatIsOver(StopperContract):
    def make_stopper(self) -> Stopper:
        return TimeoutStopper(0)
