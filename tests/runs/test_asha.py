"""ASHA, its promotion form, PASHA and the median rule with real worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import (
    ASHAScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    TrialScheduler,
)

COUNT = 8


class Falling(tune.Trainable):
    """The score is the worse the later a trial was created; it rises by steps of its own."""

    def setup(self, config: dict[str, Any]) -> None:
        self.level = 0

    def step(self) -> dict[str, Any]:
        self.level += 1
        if self.config["number"] == self.config.get("fails"):
            raise ValueError("as asked")
        return {"score": -self.config["number"] + self.level / 100, "level": self.level}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"level": self.level}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.level = checkpoint["level"]


def levels(
    path: Path,
    scheduler: TrialScheduler,
    *,
    count: int = COUNT,
    stop: Any = None,
    limit: int = 0,
    **config: Any,
) -> list[int]:
    """How far each trial came."""
    results = tune.Tuner(
        Falling,
        param_space={"number": tune.grid_search(list(range(count))), **config},
        tune_config=tune.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, max_concurrent_trials=limit, seed=1
        ),
        run_config=tune.RunConfig(storage_path=str(path), verbose=0, stop=stop),
    ).fit()
    reached = []
    for result in results:
        metrics = result.metrics or {}
        # A trial that was paused went on from where it was.
        assert metrics.get("level") == metrics.get("training_iteration")
        reached.append(metrics.get("training_iteration", 0))
    return reached


def test_asha_trains_the_best_one_to_the_end_and_stops_the_worst(tmp_path: Path) -> None:
    reached = levels(tmp_path, ASHAScheduler(max_t=9, reduction_factor=3), limit=2)
    assert reached[0] == 9
    assert reached[2:] == [1] * (COUNT - 2)


def test_promotion_trains_the_best_one_to_the_end(tmp_path: Path) -> None:
    scheduler = ASHAScheduler(max_t=4, reduction_factor=2, type="promotion")
    reached = levels(tmp_path, scheduler)
    assert reached[0] == 4
    assert reached[-1] == 1
    assert set(reached) <= {1, 2, 4}


def test_promotion_trains_the_best_of_a_few_to_the_end_one_by_one(tmp_path: Path) -> None:
    # Too few for a promotion by the rule: only the best one of all goes on.
    scheduler = ASHAScheduler(max_t=5, reduction_factor=4, type="promotion")
    assert levels(tmp_path, scheduler, count=3) == [5, 1, 1]


def test_promotion_goes_on_when_trials_fail(tmp_path: Path) -> None:
    scheduler = ASHAScheduler(max_t=4, reduction_factor=2, type="promotion")
    reached = levels(tmp_path, scheduler, fails=0)
    assert reached[:2] == [0, 4]


@pytest.mark.parametrize("limit", [1, 3])
def test_promotion_gets_through_all_trials_under_a_limit(tmp_path: Path, limit: int) -> None:
    scheduler = ASHAScheduler(max_t=4, reduction_factor=2, type="promotion")
    reached = levels(tmp_path, scheduler, limit=limit)
    assert len(reached) == COUNT
    assert min(reached) == 1


def test_pasha_goes_no_further_than_it_must(tmp_path: Path) -> None:
    reached = levels(tmp_path, PASHAScheduler(max_t=64, reduction_factor=2))
    assert reached[0] == 2
    assert reached[-1] == 1


@pytest.mark.parametrize("hard_stop", [True, False])
def test_the_median_rule_stops_the_worse_ones_or_lets_them_go_on_later(
    tmp_path: Path, hard_stop: bool
) -> None:
    scheduler = MedianStoppingRule(
        time_attr="training_iteration",
        grace_period=1,
        min_samples_required=2,
        min_time_slice=1,
        hard_stop=hard_stop,
    )
    reached = levels(tmp_path, scheduler, stop={"training_iteration": 3}, limit=2)
    assert reached[0] == 3
    assert reached[-1] == (1 if hard_stop else 3)


def test_a_scheduler_without_a_metric_is_refused_before_the_run(tmp_path: Path) -> None:
    tuner = tune.Tuner(
        Falling,
        param_space={"number": 0},
        tune_config=tune.TuneConfig(scheduler=ASHAScheduler()),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    with pytest.raises(ValueError, match="needs a metric and a mode"):
        tuner.fit()
