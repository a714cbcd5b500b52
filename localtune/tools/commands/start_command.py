"""What ``localtune run`` was started with, kept in the experiment to go on with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.result import COMMAND_FILE


@dataclass(frozen=True)
class Command:
    """What a run of ``localtune run`` was started with.

    Attributes:
        target: ``module:trainable`` or ``file.py:trainable``.
        directory: Where it was looked for.
        resources: {name: amount} of each trial, empty for the default.
    """

    target: str
    directory: str
    resources: Mapping[str, float] = field(default_factory=dict)


def command_file(command: Command) -> bytes:
    """The content of the file in which an experiment notes what it was started with."""
    record = {
        "target": command.target,
        "directory": os.path.abspath(command.directory),
        "resources": dict(command.resources),
    }
    return json.dumps(record).encode()


def command_of(files: Mapping[str, bytes]) -> Command | None:
    """The command that started a run, None if that is not known.

    Args:
        files: What the run was started with.
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
