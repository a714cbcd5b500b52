"""Keeps the command line of ``localtune run`` in the experiment, so that it can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localtune.error import UsageError
from localtune.result import COMMAND_FILE
from localtune.tools.commands.program import PROGRAM_CHECKS


@dataclass(frozen=True)
class StartCommand:
    """The parts of a command line ``localtune run`` that resuming needs.

    Attributes:
        target: ``module:trainable`` or ``file.py:trainable``; empty for a program.
        directory: Where the target, or the program, was looked for.
        resources: {name: amount} of each trial, empty for the default.
        program: {setting: value} of a program, empty for a target.
        shared: Whether the machine was shared, or the ledger of a group; None if it was not said.
        executor: Name of the executor, maybe with arguments; None if it was not said.
    """

    target: str
    directory: str
    resources: Mapping[str, float] = field(default_factory=dict)
    program: Mapping[str, Any] = field(default_factory=dict)
    shared: bool | str | None = None
    executor: str | None = None


def command_file(command: StartCommand) -> bytes:
    """Returns the content of the file that keeps a command."""
    record = {
        "target": command.target,
        "directory": os.path.abspath(command.directory),
        "resources": dict(command.resources),
        "program": dict(command.program),
        "shared": command.shared,
        "executor": command.executor,
    }
    return json.dumps(record).encode()


def command_of(files: Mapping[str, bytes]) -> StartCommand | None:
    """Returns the command that started a run, None if that is not known.

    Args:
        files: Files that the run was started with.
    """
    try:
        record = json.loads(files[COMMAND_FILE])
        target, directory = record["target"], record["directory"]
        resources = {str(name): float(amount) for name, amount in record["resources"].items()}
        # Earlier versions had no programs.
        settings = record.get("program", {}).items()
        program = {name: PROGRAM_CHECKS[name](value) for name, value in settings}
        shared, executor = record.get("shared"), record.get("executor")
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
    if not isinstance(target, str) or not isinstance(directory, str):
        return None
    if ":" not in target and "command" not in program:
        return None
    if not isinstance(shared, (bool, str, type(None))) or not isinstance(
        executor, (str, type(None))
    ):
        return None
    return StartCommand(target, directory, resources, program, shared, executor)
