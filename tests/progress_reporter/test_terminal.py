from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from localtune.progress_reporter.terminal import (
    SafeStream,
    can_move_cursor,
    is_terminal,
    terminal_size,
    wants_color,
)
from tests.progress_reporter.screen import FakeTerminal


def set_size(descriptor: int, columns: int, lines: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@pytest.fixture
def terminal() -> Iterator[io.TextIOWrapper]:
    parent, child = pty.openpty()
    set_size(child, 100, 30)
    with open(child, "w", encoding="utf-8") as stream:
        yield stream
    os.close(parent)


def test_characters_that_cannot_be_encoded_are_replaced_one_by_one() -> None:
    raw = io.BytesIO()
    stream = SafeStream(io.TextIOWrapper(raw, encoding="ascii"))

    stream.write("━━── loss ↓ · 模…")
    stream.flush()

    assert raw.getvalue() == b"==-- loss v - ?."


def test_encodable_text_is_written_unchanged() -> None:
    raw = io.BytesIO()
    stream = SafeStream(io.TextIOWrapper(raw, encoding="utf-8"))

    stream.write("━ 模")
    stream.flush()

    assert raw.getvalue().decode() == "━ 模"


@pytest.mark.parametrize("buffering", [1, -1])
def test_a_pipe_whose_reader_has_gone_ends_no_run(buffering: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    target = open(writer, "w", buffering=buffering)  # noqa: SIM115 - closing it raises, too
    stream = SafeStream(target)

    for _ in range(3):
        stream.write("text\n")
        stream.flush()

    with pytest.raises(BrokenPipeError):
        target.close()


def test_a_closed_stream_ends_no_run() -> None:
    target = io.StringIO()
    stream = SafeStream(target)
    target.close()

    stream.write("text")
    stream.flush()

    assert not stream.isatty()


def test_a_terminal_is_recognised(terminal: io.TextIOWrapper) -> None:
    assert is_terminal(terminal)
    assert not is_terminal(io.StringIO())


@pytest.mark.parametrize(
    ("term", "can"), [("xterm-256color", True), ("dumb", False), ("unknown", False)]
)
def test_a_dumb_terminal_cannot_move_its_cursor(term: str, can: bool) -> None:
    assert can_move_cursor(FakeTerminal(), {"TERM": term}) is can


def test_a_stream_that_is_no_terminal_cannot_move_its_cursor() -> None:
    assert not can_move_cursor(io.StringIO(), {"TERM": "xterm"})


def test_no_color_turns_colours_off_unless_it_is_empty() -> None:
    assert not wants_color({"NO_COLOR": "1"})
    assert wants_color({"NO_COLOR": ""})
    assert wants_color({})


def test_the_size_is_that_of_the_terminal_that_is_written_to(terminal: io.TextIOWrapper) -> None:
    assert terminal_size(terminal, {}) == (100, 30)

    set_size(terminal.fileno(), 132, 50)

    assert terminal_size(terminal, {}) == (132, 50)


def test_the_environment_wins(terminal: io.TextIOWrapper) -> None:
    assert terminal_size(terminal, {"COLUMNS": "60"}) == (60, 30)
    assert terminal_size(terminal, {"COLUMNS": "60", "LINES": "10"}) == (60, 10)
    assert terminal_size(terminal, {"COLUMNS": "wide", "LINES": "0"}) == (100, 30)


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(
    terminal: io.TextIOWrapper,
) -> None:
    set_size(terminal.fileno(), 0, 0)

    assert terminal_size(terminal, {}) == (80, 24)
    assert terminal_size(io.StringIO(), {}) == (80, 24)
