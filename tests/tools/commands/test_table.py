"""Tables of commands, on a terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from localtune.tools.commands.table import print_table
from tests.runs.lifecycle.programs import environment

TITLES = ["NAME", "TRIALS", "BEST"]
ROWS = [["first_sweep", "12", "loss=0.5"], ["b\x1b[2Jb", "3", "x" * 60]]


def on_terminal(before: str = "", *, columns: int = 60) -> str:
    """Prints the table in a process whose output is a terminal; returns what it wrote."""
    code = (
        f"import sys; {before}\n"
        "from localtune.tools.commands.table import print_table\n"
        f"print_table({TITLES!r}, {ROWS!r}, numbers='TRIALS')"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        env=environment(COLUMNS=str(columns), TERM="xterm"),
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 4096):
            written += chunk
    except OSError:  # So Linux reports the end.
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode().replace("\r\n", "\n")


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TITLES, ROWS, numbers="TRIALS")

    assert capsys.readouterr().out.splitlines()[:3] == [
        "NAME         TRIALS  BEST",
        f"{'─' * 11}  {'─' * 6}  {'─' * 44}",
        "first_sweep      12  loss=0.5",
    ]


def test_a_terminal_gets_a_table_of_rich_that_fits_and_is_not_steered() -> None:
    written = on_terminal()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)

    assert "\x1b[1m" in written
    assert "\x1b" not in plain
    assert "b\\x1b[2Jb" in plain
    assert max(map(len, plain.splitlines())) <= 60
    assert all(title in plain for title in TITLES)


def test_a_terminal_without_rich_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(TITLES, ROWS, numbers="TRIALS")

    assert on_terminal("sys.modules['rich'] = None") == capsys.readouterr().out
