"""Every scheduler keeps the contract; most have a class for it in their own test file."""

from __future__ import annotations

from pathlib import Path

from localtune.schedulers import TrialScheduler
from localtune.testing.scheduler_contract import SchedulerContract
from tests.contracts import SCHEDULERS, default_suites, undeclared

globals().update(
    default_suites(SCHEDULERS, Path(__file__).parent, SchedulerContract, "make_scheduler")
)


def test_each_scheduler_is_found_by_name() -> None:
    assert undeclared("localtune.schedulers", TrialScheduler) == set()
