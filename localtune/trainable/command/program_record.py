"""Reads what a trial's program was started with, to show it and to run it again."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from localtune.trainable.command.facts import FACT_VARIABLES

# The command that a trial has run, and its environment variables.
PROGRAM_FILE = "program.json"


@dataclass(frozen=True)
class ProgramRecord:
    """What the last start of a trial's program was.

    Attributes:
        line: The command as a line for the shell.
        is_shell_text: Whether the shell has run it, and not localtune itself.
        directory: The working directory.
        environment: The variables that localtune has set.
    """

    line: str
    is_shell_text: bool
    directory: str
    environment: Mapping[str, str]

    @property
    def script(self) -> str:
        """Lines for a shell that run the program again, as it was run."""
        line = f"sh -c {shlex.quote(self.line)}" if self.is_shell_text else self.line
        state = self.environment.get(FACT_VARIABLES["checkpoint_dir"])
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        lines = [
            f"cd {shlex.quote(self.directory)}",
            # Only a running trial has it.
            *([f"mkdir -p {shlex.quote(state)}"] if state else []),
            " \\\n    ".join(["env", *words, line]),
        ]
        return "\n".join(lines) + "\n"


def program_in(trial_dir: str) -> ProgramRecord | None:
    """Returns what a trial's program was started with; None for a trial without a program.

    Args:
        trial_dir: Directory of a trial of an experiment whose files are trusted.
    """
    try:
        with open(os.path.join(trial_dir, PROGRAM_FILE), encoding="utf-8") as file:
            record = json.load(file)
        line, directory = record["command"], record["directory"]
        environment = {str(name): str(value) for name, value in record["environment"].items()}
        is_shell_text = record["argv"] is None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(line, str) or not isinstance(directory, str):
        return None
    return ProgramRecord(line, is_shell_text, directory, environment)
