from __future__ import annotations

import pytest

from localtune.clock import Clock
from localtune.testing.clock import ManualClock


def test_stands_still_until_it_is_advanced(manual_clock: ManualClock) -> None:
    readings = [(manual_clock.monotonic(), manual_clock.time()) for _ in range(3)]

    assert readings == [(0.0, 0.0)] * 3


def test_both_readings_move_together() -> None:
    clock: Clock = ManualClock(start_s=1_000.0)
    assert isinstance(clock, ManualClock)

    clock.advance(2.5)
    clock.advance(0)
    clock.advance(1.5)

    assert clock.monotonic() == 4.0
    assert clock.time() == 1_004.0


@pytest.mark.parametrize("duration_s", [-1, -0.001, float("nan")])
def test_never_goes_back(manual_clock: ManualClock, duration_s: float) -> None:
    with pytest.raises(ValueError, match=f"must be at least 0, but got {duration_s}"):
        manual_clock.advance(duration_s)

    assert manual_clock.monotonic() == 0.0


def test_moves_to_a_reading_and_not_back(manual_clock: ManualClock) -> None:
    manual_clock.advance_to(2.5)
    manual_clock.advance_to(2.5)
    assert manual_clock.monotonic() == 2.5

    with pytest.raises(ValueError, match=r"must be at least 2\.5, the time now, but got 2\.0"):
        manual_clock.advance_to(2.0)
    assert manual_clock.monotonic() == 2.5
