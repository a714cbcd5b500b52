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
    """All that is written to a terminal until nobody has it open any more."""
    chunks = []
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


def run_on_terminal(columns: int, lines: int) -> tuple[str, bool]:
    """What the program writes, and whether it leaves the terminal's settings as they were."""
    parent, child = pty.openpty()
    try:
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        before = termios.tcgetattr(child)
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.progress_reporter.live_program", "12"],
            cwd=ROOT,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        # The settings can be read only while somebody has the terminal open.
        keeper, child = child, -1
        waiting = os.fork()
        if waiting == 0:
            program.wait()
            os._exit(0)
        raise NotImplementedError(keeper, before)
    finally:
        os.close(parent)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (20, 24), (120, 8)])
def test_the_run_is_drawn_in_place_and_the_terminal_is_left_as_it_was(
    columns: int, lines: int
) -> None:
    raise NotImplementedError
