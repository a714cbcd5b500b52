"""How many trials fit this machine."""

from __future__ import annotations

import pytest

from localtune.execution.local_slots import LocalSlots
from localtune.resources import PlacementGroupFactory
from localtune.tools.check.concurrency import check_concurrency, check_request
from localtune.tools.check.report import Verdict

SLOTS = LocalSlots(4, 0, {"memory": 8e9})


def request(**amounts: float) -> PlacementGroupFactory:
    return PlacementGroupFactory([amounts])


@pytest.mark.parametrize(("cpus", "fitting"), [(1, "4 trials"), (3, "1 trial"), (0.5, "8 trials")])
def test_cpus_limit_how_many_run(cpus: float, fitting: str) -> None:
    found = check_concurrency(request(CPU=cpus), SLOTS, 1.0, 1000, 10**9)

    assert found.verdict is Verdict.PASS
    assert f" {fitting} at a time" in found.text


def test_too_little_memory_is_warned_of_with_what_fits() -> None:
    found = check_concurrency(request(CPU=1), SLOTS, 1.0, 10**9, 3 * 10**9)

    assert found.verdict is Verdict.WARNING
    assert "max_concurrent_trials=3" in found.remedy


def test_a_trial_that_holds_more_than_it_asks_for_is_a_failure() -> None:
    found = check_concurrency(request(CPU=1, memory=1000), SLOTS, 1.0, 2000, 10**9)

    assert found.verdict is Verdict.FAILURE


def test_a_request_that_can_never_be_met_is_a_failure() -> None:
    found = check_request(request(CPU=5), SLOTS)

    assert found is not None and found.verdict is Verdict.FAILURE
    assert check_request(request(CPU=4), SLOTS) is None
