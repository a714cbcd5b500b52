"""Reads what a trial's program was started with, to show it and to run it again."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from localtune.trainable.command.facts import FACT_VARIABLES
from localtune.trainable.command.values import VARIABLE_PREFIX

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
        params_by: How the program gets its parameters: ``"args"``, ``"env"`` or ``"file"``.
    """

    line: str
    is_shell_text: bool
    directory: str
    environment: Mapping[str, str]
    params_by: str = "args"

    @property
    def line_with_parameters(self) -> str:
        """The command as a line for the shell, with the variables that hold its parameters.

        A program that reads its arguments needs none.
        """
        if self.params_by == "args":
            return self.line
        if self.params_by == "env":
            names = [name for name in self.environment if name.startswith(VARIABLE_PREFIX)]
            place = ""
        else:
            # It may also open the file by its name alone.
            names, place = [FACT_VARIABLES["params_file"]], f"cd {shlex.quote(self.directory)} && "
        words = [
            f"{name}={shlex.quote(self.environment[name])}"
            for name in names
            if name in self.environment
        ]
        return place + " ".join(["env", *words, self._line_for_shell])

    @property
    def _line_for_shell(self) -> str:
        return f"sh -c {shlex.quote(self.line)}" if self.is_shell_text else self.line

    @property
    def script(self) -> str:
        """Lines for a shell that run the program again, as it was run."""
        state = self.environment.get(FACT_VARIABLES["checkpoint_dir"])
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        lines = [
            f"cd {shlex.quote(self.directory)}",
            # Only a running trial has it.
            *([f"mkdir -p {shlex.quote(state)}"] if state else []),
            " \\\n    ".join(["env", *words, self._line_for_shell]),
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
        params_by = str(record.get("params_by", "args"))  # Earlier versions did not write it.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not isinstance(line, str) or not isinstance(directory, str):
        return None
    return ProgramRecord(line, is_shell_text, directory, environment, params_by)
