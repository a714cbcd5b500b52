from __future__ import annotations

import subprocess
import sys

import pytest

from localtune import schedulers
from localtune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    create_scheduler,
)
from localtune.schedulers import create as create_module


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fifo", FIFOScheduler),
        ("async_hyperband", AsyncHyperBandScheduler),
        ("asynchyperband", AsyncHyperBandScheduler),
        ("ASHA", AsyncHyperBandScheduler),
        ("median_stopping_rule", MedianStoppingRule),
        ("medianstopping", MedianStoppingRule),
        ("PaSHA", PASHAScheduler),
    ],
)
def test_a_name_makes_its_scheduler(name: str, kind: type) -> None:
    assert type(create_scheduler(name, metric="loss", mode="min")) is kind


def test_every_name_belongs_to_a_public_class() -> None:
    assert set(create_module._CLASS_NAMES.values()) <= set(schedulers.__all__)


def test_arguments_are_passed_on_and_others_dropped() -> None:
    scheduler = create_scheduler("asha", metric="loss", mode="min", max_t=9, unknown=1)
    assert "rungs at 1, 4;" in scheduler.debug_string()


def test_an_unknown_name_is_an_error_with_a_guess() -> None:
    with pytest.raises(ValueError, match="Did you mean 'hyperband'"):
        create_scheduler("hyprband")


def test_looking_up_one_scheduler_imports_no_other() -> None:
    code = (
        "import sys, localtune.schedulers as s; s.create_scheduler('fifo')\n"
        "print([m for m in sys.modules if 'hyperband' in m or 'pbt' in m or 'median' in m])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert answer.stdout.strip() == "[]"
