from __future__ import annotations

import datetime
from typing import Any

import pytest

from localtune.schedulers import ASHAScheduler
from localtune.stopper import Stopper, TrialTimeoutStopper
from localtune.testing.simulation import simulate
from localtune.testing.stopper_contract import StopperContract


class Slow:
    """Takes as many seconds for a step as its config says."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.step_s = config["step_s"]
        self.done = 0

    def step(self) -> dict[str, Any]:
        self.done += 1
        return {"loss": 1 / self.done, "time_this_iter_s": self.step_s, "done": self.done >= 10}

    def get_state(self) -> int:
        return self.done

    def set_state(self, state: int) -> None:
        self.done = state


@pytest.mark.parametrize("timeout", [60, 60.0, datetime.timedelta(minutes=1)])
def test_a_trial_stops_when_it_has_trained_so_long(timeout: Any) -> None:
    stopper = TrialTimeoutStopper(timeout)

    assert not stopper("t", {"time_total_s": 59.9})
    assert stopper("t", {"time_total_s": 60})
    assert stopper("another", {"time_total_s": 61})
    assert not stopper.stop_all()


def test_each_trial_of_a_run_has_its_own_limit() -> None:
    result = simulate(
        Slow,
        {"step_s": {"grid_search": [1.0, 10.0, 25.0, 90.0]}},
        metric="loss",
        mode="min",
        num_cpus=1,
        stop=TrialTimeoutStopper(60),
    )

    assert [trial.iterations for trial in result.trials] == [10, 6, 3, 1]


def test_time_before_a_pause_counts_and_waiting_does_not() -> None:
    result = simulate(
        Slow,
        {"step_s": {"grid_search": [10.0, 10.0, 10.0]}},
        metric="loss",
        mode="min",
        num_cpus=1,
        scheduler=ASHAScheduler(max_t=100, reduction_factor=2, type="promotion"),
        stop=TrialTimeoutStopper(40),
    )

    assert [event.what for event in result.events].count("paused") > 0
    assert max(trial.iterations for trial in result.trials) == 4


def test_a_result_without_a_time_stops_no_trial_and_is_warned_of() -> None:
    stopper = TrialTimeoutStopper(0)

    assert not stopper("t", {"loss": 1.0})
    (text,) = stopper.missing_key_warnings({"loss": 1.0})
    assert "time_total_s" in text


@pytest.mark.parametrize("timeout", [-1, "60", None, True, float("nan")])
def test_only_a_duration_is_a_timeout(timeout: Any) -> None:
    with pytest.raises(ValueError, match="number of seconds or a timedelta"):
        TrialTimeoutStopper(timeout)


# -- the suite of all -----------------------------------------------------------------------------


class TestTrialTimeout(StopperContract):
    def make_stopper(self) -> Stopper:
        return TrialTimeoutStopper(12)
