"""Every stopper keeps the contract; most have a class for it in their own test file."""

from __future__ import annotations

from pathlib import Path

from localtune.stopper import Stopper
from localtune.testing.stopper_contract import StopperContract
from localtune.utils.found_classes import FoundClasses
from tests.contracts import default_suites, undeclared

globals().update(
    default_suites(
        FoundClasses("localtune.stopper", Stopper),
        Path(__file__).parent,
        StopperContract,
        "make_stopper",
    )
)


def test_each_stopper_lists_its_class() -> None:
    assert undeclared("localtune.stopper", Stopper) == set()
