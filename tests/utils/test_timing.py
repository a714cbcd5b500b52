"""Dates for names, and the warning about slow blocks."""

from __future__ import annotations

import datetime
import logging

import pytest

from localtune.utils import date_str, warn_if_slow


def test_date_str_is_local_time_without_spaces() -> None:
    text = date_str()
    parsed = datetime.datetime.strptime(text, "%Y-%m-%d_%H-%M-%S")
    assert abs((datetime.datetime.now() - parsed).total_seconds()) < 60.0


@pytest.mark.parametrize(
    ("threshold", "disable", "warns"),
    [(-1.0, False, True), (-1.0, True, False), (1e6, False, False)],
)
def test_warn_if_slow_warns_past_its_threshold(
    caplog: pytest.LogCaptureFixture, threshold: float, disable: bool, warns: bool
) -> None:
    with caplog.at_level(logging.WARNING), warn_if_slow("loading", threshold, disable=disable):
        pass
    assert ("`loading` took" in caplog.text) is warns


def test_the_threshold_comes_from_the_environment(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_WARN_THRESHOLD_S", "-1")
    with caplog.at_level(logging.WARNING), warn_if_slow("x", message="{name}!"):
        pass
    assert "x!" in caplog.text
