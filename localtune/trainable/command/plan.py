"""Plan: all that one start of a program needs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from localtune.trainable.command.facts import FACT_VARIABLES, Facts
from localtune.trainable.command.parse import Parser, PatternParser, json_parser
from localtune.trainable.command.program_file import MODULE_PATH
from localtune.trainable.command.program_record import PROGRAM_FILE
from localtune.trainable.command.values import VARIABLE_PREFIX
from localtune.utils.files import write_file
from localtune.utils.json_encode import dumps

WAYS = ("any", "stdout", "file", "final", "report")


@dataclass(frozen=True)
class Plan:
    """All that one start of a program needs.

    Attributes:
        command: Program and arguments, or a text for the shell.
        shell: Whether ``command`` is for the shell.
        cwd: The working directory.
        environment: The environment.
        facts: Facts about the trial.
        params_by: How the program gets its parameters.
        results: The way in which results come back, of :data:`WAYS`.
        pattern: Expression that finds results in lines of the output; None reads JSON.
        metric: Flat name of the metric that a result must have; None accepts any result.
        final_file: Path of the file with the final result.
        lockstep: Whether the program waits after each result.
        grace_s: Seconds in which the program may end by itself.
    """

    command: Sequence[str] | str
    shell: bool
    cwd: str
    environment: dict[str, str]
    facts: Facts
    params_by: str
    results: str
    pattern: re.Pattern[str] | None
    metric: str | None
    final_file: str
    lockstep: bool
    grace_s: float

    @property
    def line(self) -> str:
        """The command as a line for the shell."""
        return command_line(self.command)

    def save(self) -> None:
        """Writes what is run into the trial's directory, for whoever runs it again."""
        content = {
            "command": self.line,
            "argv": None if self.shell else list(self.command),
            "directory": self.cwd,
            "params_by": self.params_by,
            "environment": {
                name: value
                for name, value in sorted(self.environment.items())
                if name in FACT_VARIABLES.values()
                or name.startswith(VARIABLE_PREFIX)
                or (name == MODULE_PATH and value != os.environ.get(name))
            },
        }
        path = os.path.join(self.facts.trial_dir, PROGRAM_FILE)
        write_file(path, dumps(content, indent=2).encode("utf-8", "backslashreplace"), sync=False)

    @property
    def follows_file(self) -> bool:
        """Whether lines of the metrics file are results."""
        # A program that has lost its channel reports through the file.
        return self.results in ("any", "file", "report")

    @property
    def reads_final_file(self) -> bool:
        """Whether the final file has a result."""
        return self.results in ("any", "final")

    def stdout_parser(self, others: dict[str, None]) -> Parser | None:
        """Returns what finds results in lines of the output; None if none are there.

        Args:
            others: Gets the names in objects without the metric, as its keys.
        """
        if self.results not in ("any", "stdout"):
            return None
        return self._pattern_parser() or json_parser(self.metric, others)

    def stderr_parser(self) -> Parser | None:
        """Returns what finds results in lines of the error output; None if none are there."""
        return self._pattern_parser()

    def _pattern_parser(self) -> Parser | None:
        return PatternParser(self.pattern, self.metric) if self.pattern is not None else None

    @property
    def expected(self) -> str:
        """A clause that says where a result was expected."""
        of_metric = f" with the metric {self.metric!r}" if self.metric is not None else ""
        names = os.path.basename(self.facts.metrics_file), os.path.basename(self.final_file)
        if self.pattern is not None:
            lines = f"no line of its output matches the pattern {self.pattern.pattern!r}{of_metric}"
        else:
            lines = f"no line of its output is a JSON object{of_metric}"
        files = f"no line of {names[0]} is a JSON object{of_metric}"
        final = f"{names[1]} is no JSON object{of_metric}, or does not exist"
        reports = "it did not call localtune.report"
        return {
            "stdout": lines,
            "file": files,
            "final": final,
            "report": reports,
            "any": f"{lines}, neither {names[0]} nor {names[1]} has one, and {reports}",
        }[self.results]


def command_line(command: Sequence[str] | str) -> str:
    """Returns a command as a line for the platform's shell."""
    if isinstance(command, str):
        return command
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)
