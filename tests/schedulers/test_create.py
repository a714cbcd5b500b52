from __future__ import annotations

import subprocess
import sys

import pytest

from localtune import schedulers
from localtune.schedulers import (
    PB2,
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    create_scheduler,
)
from localtune.schedulers.create import SCHEDULERS


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
        ("hyperband", HyperBandScheduler),
        ("hb_bohb", HyperBandForBOHB),
        ("pbt", PopulationBasedTraining),
        ("pbt_replay", PopulationBasedTrainingReplay),
        ("pb2", PB2),
        ("resource_changing", ResourceChangingScheduler),
    ],
)
def test_a_name_means_its_scheduler(name: str, kind: type) -> None:
    assert SCHEDULERS[name.lower()] is kind
    assert kind.__name__ in schedulers.__all__


def test_a_name_makes_a_scheduler() -> None:
    made = create_scheduler("ASHA", metric="loss", mode="min")
    assert type(made) is AsyncHyperBandScheduler


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
