"""Keeps the command line of ``localtune run`` in the experiment, so that it can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.result import COMMAND_FILE


@dataclass(frozen=True)
class Command:
    """The parts of a command line ``localtune run`` that resuming needs.

    Attributes:
        target: ``module:trainable`` or ``file.py:trainable``.
        directory: Where the target was looked for.
        resources: {name: amount} of each trial, empty for the default.
    """

    target: str
    directory: str
    resources: Mapping[str, float] = field(default_factory=dict)


def command_file(command: Command) -> bytes:
    """Returns the content of the file that keeps a command."""
    record = {
        "target": command.target,
        "directory": os.path.abspath(command.directory),
        "resources": dict(command.resources),
    }
    return json.dumps(record).encode()


def command_of(files: Mapping[str, bytes]) -> Command | None:
    """Returns the command that started a run, None if that is not known.

    Args:
        files: Files that the run was started with.
    """
    try:
        record = json.loads(files[COMMAND_FILE])
        target, directory = record["target"], record["directory"]
        resources = {str(name): float(amount) for name, amount in record["resources"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(target, str) or not isinstance(directory, str) or ":" not in target:
        return None
    return Command(target, directory, resources)
