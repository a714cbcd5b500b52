"""The findings of a check."""

from __future__ import annotations

import enum
import textwrap
from dataclasses import dataclass
from typing import Any

from localtune.utils.text import count, format_duration, printable

_WIDTH = 100
# Lines of a traceback that the text of a report shows; the finding has all of them.
_DETAIL_LINES = 12


class Verdict(enum.Enum):
    """The result of one check."""

    PASS = "pass"
    WARNING = "warning"
    FAILURE = "failure"


_LABELS = {Verdict.PASS: "ok", Verdict.WARNING: "WARNING", Verdict.FAILURE: "FAILURE"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: Name of the check, such as ``"restore"``.
        verdict: How it ended.
        text: The observation.
        remedy: Advice, "" if nothing needs to be done.
        details: Traceback, or other long text; "" if there is none.
    """

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings about one trainable. Its ``str()`` is for a terminal.

    Attributes:
        trainable: Name of the trainable.
        findings: In the order in which they were made.
        duration_s: Seconds that the check took.
    """

    trainable: str
    findings: tuple[Finding, ...]
    duration_s: float

    @property
    def ok(self) -> bool:
        """Whether no check failed. Warnings do not count."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that make a sweep fail, or its results wrong."""
        return self._with(Verdict.FAILURE)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that may be intended, or matter to some sweeps only."""
        return self._with(Verdict.WARNING)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "trainable": self.trainable,
            "ok": self.ok,
            "duration_s": self.duration_s,
            "findings": [
                {
                    "check": each.check,
                    "verdict": each.verdict.value,
                    "text": each.text,
                    "remedy": each.remedy,
                    "details": each.details,
                }
                for each in self.findings
            ],
        }

    def __str__(self) -> str:
        heading = (
            f"Check of {self.trainable}: {count(len(self.failures), 'failure')}, "
            f"{count(len(self.warnings), 'warning')} ({format_duration(self.duration_s)})"
        )
        width = max((len(each.check) for each in self.findings), default=0)
        return "\n".join([heading, *(_lines(each, width) for each in self.findings)])

    def _with(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.verdict is verdict)


def passed(check: str, text: str) -> Finding:
    """Makes a finding that asks for nothing.

    Args:
        check: Name of the check.
        text: What was seen.
    """
    return Finding(check, Verdict.PASS, text)


def warning(check: str, text: str, remedy: str, details: str = "") -> Finding:
    """Makes a finding that may be intended.

    Args:
        check: Name of the check.
        text: What was seen.
        remedy: What to do about it.
        details: Traceback, or other long text.
    """
    return Finding(check, Verdict.WARNING, text, remedy, details)


def failure(check: str, text: str, remedy: str, details: str = "") -> Finding:
    """Makes a finding that would make a sweep fail, or its results wrong.

    Args:
        check: Name of the check.
        text: What was seen.
        remedy: What to do about it.
        details: Traceback, or other long text.
    """
    return Finding(check, Verdict.FAILURE, text, remedy, details)


def _lines(finding: Finding, width: int) -> str:
    head = f"  {_LABELS[finding.verdict]:<7}  {finding.check:<{width}}  "
    indent = " " * len(head)
    parts = [_wrapped(finding.text, head, indent)]
    if finding.remedy:
        parts.append(_wrapped(finding.remedy, f"{indent}-> ", f"{indent}   "))
    lines = finding.details.strip().splitlines()
    if len(lines) > _DETAIL_LINES:
        lines = ["...", *lines[-_DETAIL_LINES:]]
    parts += [f"{indent}| {printable(line)}" for line in lines]
    return "\n".join(parts)


def _wrapped(text: str, first: str, indent: str) -> str:
    return textwrap.fill(
        printable(" ".join(text.split())),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
