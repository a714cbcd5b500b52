"""ProgramReport: says how a program has ended, for an error."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localtune.error import ProgramError
from localtune.utils.text import count, did_you_mean, shorten

if TYPE_CHECKING:
    from localtune.trainable.command.plan import Plan

_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class ProgramReport:
    """How a program has ended.

    Attributes:
        plan: What was run.
        exit_code: Its exit code, negative for the number of a signal; None if it was stopped.
        output: The last lines of its output.
        errors: The last lines of its standard error.
        too_long: Number of lines that were too long to be read.
        others: Names in the objects that had no metric of the run, and so were no results.
    """

    plan: Plan
    exit_code: int | None
    output: str
    errors: str
    too_long: int = 0
    others: Sequence[str] = ()

    def failure(self) -> ProgramError:
        """Returns the error of a program that has failed."""
        said = self.errors or self.output
        assert self.exit_code is not None
        ending = f"The program {describe_exit(self.exit_code)}"
        if said:
            ending += f": {shorten(said.splitlines()[-1].strip(), _SHOWN_CHARACTERS)}"
        return self._error(ending)

    def no_result(self) -> ProgramError:
        """Returns the error of a program that has ended well, but without a result."""
        return self._error(
            f"The program ended with exit code {self.exit_code}, but reported no result: "
            f"{self._reason}"
        )

    def stopped_without_result(self, trial_name: str) -> str:
        """Returns what to say of a program that was stopped before it had reported a result.

        Args:
            trial_name: Name of its trial.
        """
        return self._text(
            f"The program of the trial {trial_name} was stopped before it had reported a result: "
            f"{self._reason} Many programs keep their output back until they have some kilobytes "
            "of it, if it does not go to a terminal: let it flush each line."
        )

    @property
    def _reason(self) -> str:
        reason = f"{self.plan.expected}."
        if self.others:
            # An abbreviation is not similar enough for a slip.
            metric = self.plan.metric or ""
            short = [each for each in self.others if metric.startswith(each) and len(each) > 1]
            guess = did_you_mean(metric, self.others)
            if short and not guess:
                guess = f" Did you mean {short[0]!r}?"
            reason += f" The objects had: {', '.join(self.others)}.{guess}"
        if self.too_long:
            reason += f" {count(self.too_long, 'line')} of more than 1 MiB did not count."
        return reason

    def _error(self, first_line: str) -> ProgramError:
        error = ProgramError(self._text(first_line))
        error.exit_code = self.exit_code
        error.command = self.plan.line
        return error

    def _text(self, first_line: str) -> str:
        parts = [first_line, f"The command was: {self.plan.line}"]
        for title, text in (("error output", self.errors), ("output", self.output)):
            if text:
                parts.append(f"The last lines of its {title}:\n{text}")
        if not (self.errors or self.output):
            parts.append("It printed nothing.")
        return "\n\n".join(parts)


def no_number(plan: Plan, metric: str, value: str) -> ProgramError:
    """Returns the error of a program whose metric is a text.

    Args:
        plan: What was run.
        metric: Name of the metric.
        value: The text.
    """
    shown = shorten(repr(value), _SHOWN_CHARACTERS)
    if plan.pattern is None:
        message = f"The program has reported {shown} as the metric {metric!r}. Print a number."
    else:
        message = (
            f"The pattern has found {shown} for the metric {metric!r}, which is no number. Let its "
            f"group match numbers only: (?P<{metric}>[-+.eE0-9]+).\n\n"
            f"The pattern was: {plan.pattern.pattern}"
        )
    return ProgramError(f"{message}\n\nThe command was: {plan.line}")


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
