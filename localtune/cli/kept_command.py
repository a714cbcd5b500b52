"""What ``localtune run`` was started with, kept in the experiment to go on with it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.error import UntrustedDirectoryError
from localtune.result import COMMAND_FILE
from localtune.utils.trust import GuardedDirectory


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


def command_of(experiment_path: str, *, trust: bool = False) -> Command | None:
    """The command that started a run, None if that is not known.

    It names code to import: whoever could write it could have that run.

    Args:
        experiment_path: Directory of the experiment.
        trust: Read it though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
    """
    try:
        with GuardedDirectory(experiment_path, trust=trust) as guarded:
            record = json.loads(guarded.read(COMMAND_FILE))
        target, directory = record["target"], record["directory"]
        resources = {str(name): float(amount) for name, amount in record["resources"].items()}
    except UntrustedDirectoryError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(target, str) or not isinstance(directory, str) or ":" not in target:
        return None
    return Command(target, directory, resources)
