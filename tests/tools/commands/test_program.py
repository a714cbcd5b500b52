"""The settings of a program become a Command."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from localtune import Command
from localtune.error import UsageError
from localtune.tools.commands.program import PROGRAM_CHECKS, arguments_of, make_command
from localtune.trainable.command.plan import WAYS

# Those that a sweep says elsewhere, or that need Python.
_OTHERS = {"self", "directory", "name", "metric"}


def test_each_argument_of_a_command_has_a_setting() -> None:
    arguments = inspect.signature(Command.__init__).parameters.keys() - _OTHERS

    assert arguments_of(dict.fromkeys(PROGRAM_CHECKS)).keys() == arguments


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_results_can_be_said(way: str) -> None:
    assert PROGRAM_CHECKS["results"](way) == way


def test_a_command_gets_all_settings(tmp_path: Path) -> None:
    settings = {"command": "sh {lr}", "grace": 2.0, "lockstep": True, "env": {"A": "1"}}

    command = make_command(settings, str(tmp_path))

    assert [each.text for each in command.argv] == ["sh", "{lr}"]
    assert (command.grace_s, command.lockstep, command.env) == (2.0, True, {"A": "1"})
    assert command.directory == str(tmp_path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"command": "sh 'a"}, "cannot be split"),
        ({"command": "sh {"}, "A brace in a command must belong to the name of a parameter"),
        ({"command": ["sh"], "shell": True}, "must be one text"),
        ({"command": "sh", "results": "file", "pattern": "(?P<a>.)"}, "Leave out one of them"),
        ({"command": "sh", "final_file": "../a"}, "must be the path of a file in the trial's"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_command(settings, "/")
