"""Every stopper keeps the contract; most have a class for it in their own test file."""

from __future__ import annotations

from pathlib import Path

from localtune.stopper import Stopper
from localtune.testing.stopper_contract import StopperContract
from tests.contracts import STOPPERS, default_suites, undeclared

globals().update(
    default_suites(
        STOPPERS,
        Path(__file__).parent,
        StopperContract,
        "make_stopper",
    )
)


def test_each_stopper_lists_its_class() -> None:
    assert undeclared("localtune.stopper", Stopper) == set()
