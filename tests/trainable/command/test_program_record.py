"""What a trial's program was started with is read from its directory, if that can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localtune.trainable.command.program_record import PROGRAM_FILE, ProgramRecord, program_in

RECORD = {"command": "sh a", "argv": ["sh", "a"], "directory": "/", "environment": {"A": "1"}}


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / PROGRAM_FILE).write_text(json.dumps(RECORD))

    assert program_in(str(tmp_path)) == ProgramRecord("sh a", False, "/", {"A": "1"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**RECORD, "command": 1}),
        json.dumps({**RECORD, "directory": None}),
        json.dumps({**RECORD, "environment": ["A"]}),
    ],
)
def test_a_damaged_record_is_none(text: str, tmp_path: Path) -> None:
    assert program_in(str(tmp_path)) is None
    (tmp_path / PROGRAM_FILE).write_text(text)

    assert program_in(str(tmp_path)) is None


def test_the_script_quotes_all_that_a_shell_would_read() -> None:
    record = ProgramRecord("echo $A | cat", True, "/a b", {"A": "it's"})

    assert record.script == "cd '/a b'\nenv \\\n    A='it'\"'\"'s' \\\n    sh -c 'echo $A | cat'\n"
