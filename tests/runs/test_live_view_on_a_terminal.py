"""The live view on a real terminal."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.progress_reporter.screen import Screen

ROOT = Path(__file__).parents[2]


def read_to_end(descriptor: int) -> str:
    """Returns all output to a terminal until no process has it open any more."""
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(descriptor, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux's way to say that it is closed.
                raise
            chunk = b""
        if not chunk:
            return b"".join(chunks).decode()
        chunks.append(chunk)


def run_on_terminal(columns: int, lines: int) -> Screen:
    """Returns the final screen of the program; checks that it resets the terminal."""
    parent, child = pty.openpty()
    try:
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        settings = termios.tcgetattr(parent)
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.progress_reporter.live_program", "12"],
            cwd=ROOT,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        text = read_to_end(parent)
        assert program.wait() == 0, text
        assert termios.tcgetattr(parent) == settings
    finally:
        os.close(parent)
    assert "\x1b[?25l" not in text  # A hidden cursor,
    assert "\x1b[?1049h" not in text  # the alternate screen.
    screen = Screen(columns, lines)
    screen.feed(text)
    return screen


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (20, 24), (120, 8)])
def test_the_frame_is_drawn_in_place(columns: int, lines: int) -> None:
    screen = run_on_terminal(columns, lines)

    seen = screen.text.splitlines()
    assert sum(line.startswith("sweep ") for line in seen) == 1
    assert sum(line == "from a callback" for line in seen) == 1
    assert screen.cursor_column == 0


def test_at_eighty_by_twenty_four_all_is_readable() -> None:
    screen = run_on_terminal(80, 24)

    seen = screen.text.splitlines()
    assert seen[:2] == [
        "00:00:05 t00003 failed 4/12  ValueError: bad lr (train.py:12)  1 iteration  los…",
        "from a callback",
    ]
    assert seen[2:7] == [
        "sweep" + " " * 67 + "00:00:18",
        "━" * 74 + " 12/12",
        "11 finished · 1 failed",
        "",
        "Trial   State       loss ↓   lr  Iter  Time",
    ]
    assert seen[8] == "t00011  finished  0.076923  1.2     1  1.5s"
    assert [line.split()[0] for line in seen[8:18]] == [f"t{i:05d}" for i in range(11, 3, -1)] + [
        "t00003",
        "t00002",
    ]
    assert "Best trial t00011" in seen
    assert seen[-1] == "printed after the run"
