"""The clock of the system may step back, as a time server does it: nothing waits, or is late."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import ASHAScheduler

HOUR_S = 3600.0


class Slow(tune.Trainable):
    """Ends after four steps."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"loss": self.count * self.config["x"], "done": self.count >= 4}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]


def test_a_run_whose_clock_steps_back_ends_as_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_time, readings = time.time, 0

    def stepping() -> float:
        nonlocal readings
        readings += 1
        # Back by an hour more every few readings.
        return real_time() - HOUR_S * (readings // 5)

    monkeypatch.setattr(time, "time", stepping)
    results = tune.Tuner(
        Slow,
        param_space={"x": tune.uniform(1, 2)},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=4,
            time_budget_s=HOUR_S / 2,
            scheduler=ASHAScheduler(max_t=4, grace_period=4),
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(tmp_path),
            verbose=0,
            failure_config=tune.FailureConfig(iteration_timeout_s=60, trial_timeout_s=60),
        ),
        executor="inprocess",
    ).fit()

    assert readings > 10
    assert results.num_terminated == 4
    for result in results:
        assert result.metrics is not None
        assert result.metrics["training_iteration"] == 4
        assert 0 <= result.metrics["time_total_s"] < 60


def test_a_run_is_taken_up_on_a_day_before_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"

    def interrupt_once(trial_id: str, result: Mapping[str, Any]) -> bool:
        if not again.exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        tune.Tuner(
            Slow,
            param_space={"x": tune.grid_search([1.0, 2.0])},
            run_config=tune.RunConfig(
                name="run", storage_path=str(tmp_path), verbose=0, stop=interrupt_once
            ),
            executor="inprocess",
        ).fit()

    real_time = time.time
    monkeypatch.setattr(time, "time", lambda: real_time() - 24 * HOUR_S)
    again.touch()
    results = tune.Tuner.restore(str(tmp_path / "run"), Slow, executor="inprocess").fit()

    assert [result.metrics["loss"] for result in results if result.metrics] == [4.0, 8.0]
