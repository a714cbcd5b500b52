from __future__ import annotations

import io
import logging
import sys

import pytest

from localtune.utils.messages import get_logger, say, show, show_lines, warn

POISON = "a\x1b]0;t\x07b\x9bc\u202ed\x7f"
CLEAN = r"a\x1b]0;t\x07b\x9bc\u202ed\x7f"


def test_what_is_shown_and_said_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(f"{POISON}\nsecond")
    show_lines(f"{POISON}\nsecond\tcell")
    say(f"{POISON}\nsecond")
    out, err = capsys.readouterr()
    assert out == f"{CLEAN}\\nsecond\n{CLEAN}\nsecond\tcell\n"
    assert err == f"{CLEAN}\nsecond\n"


class Writes(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)


def test_a_line_and_its_end_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Writes(), Writes()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    show("one")
    show_lines("two\nthree")
    say("four")
    assert out.texts == ["one\n", "two\nthree\n"]
    assert err.texts == ["four\n"]


def test_without_a_standard_error_nothing_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("lost")
    assert capsys.readouterr().out == ""


def test_a_warning_names_the_line_of_its_caller_and_steers_no_terminal() -> None:
    with pytest.warns(DeprecationWarning) as found:
        warn(POISON, DeprecationWarning)
    assert str(found[0].message) == CLEAN
    assert found[0].filename == __file__


def test_a_log_record_steers_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    logger = get_logger("localtune.of_a_test")
    assert get_logger("localtune.of_a_test") is logger
    assert len(logger.filters) == 1
    try:
        raise ValueError(POISON)
    except ValueError:
        logger.warning("Trial %s: 100%%", POISON, exc_info=True)
    assert caplog.messages == [f"Trial {CLEAN}: 100%"]
    text = logging.Formatter().format(caplog.records[0])
    assert f"ValueError: {CLEAN}" in text
    assert "\x1b" not in text
