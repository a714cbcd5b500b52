"""Checks of a trainable before it is paid for in a sweep."""

from __future__ import annotations

from localtune.tools.check.check import check_trainable
from localtune.tools.check.report import CheckReport, Finding, Verdict

__all__ = ["CheckReport", "Finding", "Verdict", "check_trainable"]
