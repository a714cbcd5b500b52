"""One seed makes a run repeatable, however many trials run at a time."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy

import localtune as tune
from tests.runs import fit, processes


def draws(config: dict[str, Any]) -> None:
    context = tune.get_context()
    tune.report(
        {
            "x": config["x"],
            "seed": context.get_trial_seed(),
            "of_environment": int(os.environ["LOCALTUNE_TRIAL_SEED"]),
            "python": random.random(),
            "numpy": float(numpy.random.random()),
        }
    )


class Draws(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"seed": self.trial_seed, "python": random.random(), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


def run(path: Path, cpus: int, seed: int | None, trainable: Any = draws, **options: Any) -> Any:
    grid = fit(
        trainable,
        path,
        {"x": tune.uniform(0, 1)},
        num_samples=5,
        seed=seed,
        executor=processes(cpus),
        **options,
    )
    names = ("x", "seed", "of_environment", "python", "numpy")
    return [[result.metrics.get(name) for name in names] for result in grid]


def test_the_same_seed_gives_the_same_run_at_any_concurrency(tmp_path: Path) -> None:
    one, many = run(tmp_path / "one", 1, 7), run(tmp_path / "many", 4, 7)
    assert one == many
    assert run(tmp_path / "other", 4, 8) != many


def test_each_trial_has_a_seed_of_its_own_and_draws_from_it(tmp_path: Path) -> None:
    rows = run(tmp_path, 2, 7)
    seeds = [row[1] for row in rows]
    assert len(set(seeds)) == 5 and all(0 <= seed < 2**32 for seed in seeds)
    assert seeds == [row[2] for row in rows]
    assert [row[3] for row in rows] == [random.Random(seed).random() for seed in seeds]
    assert len({row[4] for row in rows}) == 5


def test_a_reused_worker_starts_each_trial_from_its_seed(tmp_path: Path) -> None:
    fresh = run(tmp_path / "fresh", 2, 7, Draws)
    assert run(tmp_path / "reused", 1, 7, Draws, reuse_actors=True) == fresh


def test_without_a_seed_runs_differ(tmp_path: Path) -> None:
    assert run(tmp_path / "a", 2, None) != run(tmp_path / "b", 2, None)
