from __future__ import annotations

from localtune.stopper import NoopStopper


def test_noop_stops_nothing() -> None:
    assert not NoopStopper()("t", {"done": True})
    assert not NoopStopper().stop_all()
