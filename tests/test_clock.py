"""Clocks: what counts as time."""

from __future__ import annotations

from localtune.clock import AwakeClock


def test_sleep_of_the_machine_is_no_time() -> None:
    reading = 100.0
    clock = AwakeClock(lambda: reading)
    started = clock.monotonic()
    reading += 0.25
    assert clock.monotonic() - started == 0.25
    reading += 3600
    assert clock.monotonic() - started == 0.25 + AwakeClock.LONGEST_GAP_S
    reading += 1
    assert clock.monotonic() - started == 1.25 + AwakeClock.LONGEST_GAP_S


def test_a_long_step_of_the_run_itself_is_time() -> None:
    reading = 0.0
    clock = AwakeClock(lambda: reading)
    reading = 59.0
    assert clock.monotonic() == 59.0
