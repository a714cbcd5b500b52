"""What an experiment keeps of the command that started it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from localtune.result import COMMAND_FILE
from localtune.tools.commands.start_command import StartCommand, command_file, command_of


@pytest.mark.parametrize("shared", [None, True, False, "/srv/ledger"])
def test_what_is_written_is_read(shared: bool | str | None) -> None:
    command = StartCommand("a.py:f", os.sep, {"CPU": 2.0}, {}, shared)
    assert command_of({COMMAND_FILE: command_file(command)}) == command


def test_what_earlier_versions_have_written_is_read() -> None:
    record = {"target": "a.py:f", "directory": os.sep, "resources": {}}
    content = json.dumps(record).encode()
    assert command_of({COMMAND_FILE: content}) == StartCommand("a.py:f", os.sep)


@pytest.mark.parametrize("change", [{"target": 1}, {"shared": 1}, {"shared": []}])
def test_other_content_is_no_command(change: dict[str, Any]) -> None:
    record = {"target": "a.py:f", "directory": os.sep, "resources": {}, **change}
    assert command_of({COMMAND_FILE: json.dumps(record).encode()}) is None
