"""The pause of the garbage collector."""

from __future__ import annotations

import gc

import pytest

from localtune.utils.collector import collector_paused


def test_the_collector_pauses_and_goes_on() -> None:
    with pytest.raises(KeyError), collector_paused():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_the_user_has_stopped_stays_stopped() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
