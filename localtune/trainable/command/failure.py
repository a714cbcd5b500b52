"""ProgramReport: says how a program has ended, for an error."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.error import ProgramError
from localtune.utils.text import count, shorten

if TYPE_CHECKING:
    from localtune.trainable.command.plan import Plan

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class ProgramReport:
    """How a program has ended.

    Attributes:
        plan: What was run.
        exit_code: Its exit code, negative for the number of a signal.
        output: The last lines of its output.
        errors: The last lines of its standard error.
    """

    plan: Plan
    exit_code: int
    output: str
    errors: str

    def failure(self) -> ProgramError:
        """Returns the error of a program that has failed."""
        said = self.errors or self.output
        ending = f"The program {describe_exit(self.exit_code)}"
        if said:
            ending += f": {shorten(said.splitlines()[-1].strip(), _SHOWN_CHARACTERS)}"
        return self._error(ending)

    def no_result(self, too_long: int) -> ProgramError:
        """Returns the error of a program that has ended well, but without a result.

        Args:
            too_long: Number of lines that were too long to be read.
        """
        message = (
            f"The program ended with exit code 0, but reported no result: {self.plan.expected}."
        )
        if too_long:
            message += f" {count(too_long, 'line')} of more than 1 MiB did not count."
        return self._error(message)

    def _error(self, first_line: str) -> ProgramError:
        parts = [first_line, f"The command was: {self.plan.line}"]
        for title, text in (("error output", self.errors), ("output", self.output)):
            if text:
                parts.append(f"The last lines of its {title}:\n{text}")
        if not (self.errors or self.output):
            parts.append("It printed nothing.")
        error = ProgramError("\n\n".join(parts))
        error.exit_code = self.exit_code
        error.command = self.plan.line
        return error


def describe_exit(exit_code: int) -> str:
    """Returns how a process has ended, as the end of a sentence.

    Args:
        exit_code: Negative for the number of a signal.

    Example:
        >>> describe_exit(3), describe_exit(-9)
        ('ended with exit code 3', 'was ended by SIGKILL')
        >>> describe_exit(137)
        'ended with exit code 137 (SIGKILL in a shell)'
    """
    if exit_code < 0:
        return f"was ended by {_signal_name(-exit_code)}"
    known = {126: "not executable", 127: "not found"}.get(exit_code, "")
    if exit_code in (126, 127):
        known = f"a program in a shell was {known}"
    elif 128 < exit_code < 128 + signal.NSIG:
        known = f"{_signal_name(exit_code - 128)} in a shell"
    return f"ended with exit code {exit_code}" + (f" ({known})" if known else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
