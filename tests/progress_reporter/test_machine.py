from __future__ import annotations

from localtune.progress_reporter.machine import MachineMeter
from localtune.testing import ManualClock


def test_the_load_of_this_machine_is_plausible_and_read_once_per_second() -> None:
    clock = ManualClock()
    meter = MachineMeter(clock)
    first = meter.load()
    assert first is not None
    assert first.cpu is None
    assert 0 < first.used_bytes < first.total_bytes
    clock.advance(0.5)
    assert meter.load() is first
    sum(range(300_000))
    clock.advance(0.6)
    later = meter.load()
    assert later is not None and later is not first
    assert later.cpu is None or 0 <= later.cpu <= 1
