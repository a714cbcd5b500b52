from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.checkpoint import Checkpoint
from localtune.error import TuneError
from localtune.schedulers import HyperBandForBOHB, HyperBandScheduler
from localtune.search import ConcurrencyLimiter
from localtune.search.bohb import TuneBOHB
from tests.small_runs import first_time, fit, processes, rows, statuses


class Growing(tune.Trainable):
    """Its score is ``config["x"]`` times the steps that it made; one ``x`` fails once."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        marker = Path(self.config.get("marker", "none"))
        if self.config["x"] == self.config.get("fails") and self.count == 2 and marker.exists():
            marker.unlink()
            raise ValueError("only once")
        return {"score": self.config["x"] * self.count, "count": self.count}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]


def growing(config: dict[str, Any]) -> None:
    """The same as a function; ``config["steps"]`` ends it early."""
    count = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            count = int(Path(path, "count").read_text())
    while count < config.get("steps", 100):
        count += 1
        folder = Path("saved")
        folder.mkdir(exist_ok=True)
        (folder / "count").write_text(str(count))
        tune.report(
            {"score": config["x"] * count, "count": count},
            checkpoint=Checkpoint.from_directory(str(folder)),
        )


def check_histories(grid: Any) -> None:
    """No trial repeated or lost a step: each continued from its latest checkpoint."""
    assert set(statuses(grid)) == {"TERMINATED"}
    for result in grid:
        counts = [row["count"] for row in rows(result)]
        assert counts == list(range(1, len(counts) + 1))
        assert [row["training_iteration"] for row in rows(result)] == counts


def reached(grid: Any) -> list[int]:
    return [result.metrics["training_iteration"] for result in grid]


# max_t 9: trials 0 to 2 run to 9, 3 to 7 are compared at 3, 8 to 16 at 1 and 3.
BAND = {"x": tune.grid_search(list(range(1, 18)))}
BAND_REACHES = [9] * 3 + [3, 3, 3, 9, 9] + [1] * 6 + [3, 3, 9]


def hyperband(**options: Any) -> HyperBandScheduler:
    return HyperBandScheduler(max_t=9, **options)


def test_a_band_of_a_class_with_checkpoints(tmp_path: Path) -> None:
    grid = fit(
        Growing,
        tmp_path,
        BAND,
        metric="score",
        mode="max",
        scheduler=hyperband(),
        executor=processes(2),
    )
    check_histories(grid)
    assert reached(grid) == BAND_REACHES
    assert grid.get_best_result().config["x"] == 17


def test_a_band_of_a_function_with_checkpoints_and_kept_workers(tmp_path: Path) -> None:
    grid = fit(
        growing,
        tmp_path,
        BAND,
        metric="score",
        mode="max",
        scheduler=hyperband(),
        reuse_actors=True,
        executor=processes(2),
    )
    check_histories(grid)
    assert reached(grid) == BAND_REACHES


def test_trials_that_fail_or_end_early_block_no_other(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.touch()
    space = {**BAND, "marker": str(marker), "fails": 7}
    grid = fit(
        Growing,
        tmp_path,
        space,
        metric="score",
        mode="max",
        scheduler=hyperband(),
        max_failures=1,
        executor=processes(2),
        stop=lambda trial_id, result: result["config"]["x"] == 8 and result["count"] == 2,
    )
    assert not marker.exists()
    check_histories(grid)
    # 8 ended at 2, and is not compared: 7 and 6 are the best of its bracket.
    assert reached(grid)[3:8] == [3, 3, 9, 9, 2]


def test_fewer_trials_than_a_band_has_places_and_a_low_limit(tmp_path: Path) -> None:
    grid = fit(
        Growing,
        tmp_path,
        {"x": tune.grid_search([1, 2, 3, 4, 5, 6])},
        metric="score",
        mode="max",
        scheduler=hyperband(),
        max_concurrent_trials=2,
        executor=processes(2),
    )
    check_histories(grid)
    assert max(reached(grid)) == 9


def test_survivors_run_to_their_own_end_if_they_may(tmp_path: Path) -> None:
    space = {"x": tune.grid_search(list(range(1, 9))), "steps": 11}
    grid = fit(
        growing,
        tmp_path,
        space,
        metric="score",
        mode="max",
        scheduler=hyperband(stop_last_trials=False),
        executor=processes(2),
    )
    check_histories(grid)
    assert reached(grid) == [11, 11, 11, 3, 3, 3, 11, 11]


def test_bohb_learns_from_brackets(tmp_path: Path) -> None:
    bohb = TuneBOHB(seed=3, bohb_config={"min_points_in_model": 2})
    grid = fit(
        Growing,
        tmp_path,
        {"x": tune.uniform(0, 1)},
        num_samples=17,
        metric="score",
        mode="max",
        search_alg=ConcurrencyLimiter(bohb, 2),
        scheduler=HyperBandForBOHB(max_t=9),
        executor=processes(2),
    )
    check_histories(grid)
    # Paused trials do not count for the limit, so that brackets fill.
    times = collections.Counter(reached(grid))
    assert times[1] == 6
    assert times[3] == 2 + 3
    assert times[9] == 1 + 2 + 3


def test_bohb_ends_when_a_bracket_cannot_fill(tmp_path: Path) -> None:
    grid = fit(
        growing,
        tmp_path,
        {"x": tune.uniform(0, 1)},
        num_samples=5,
        metric="score",
        mode="max",
        search_alg=TuneBOHB(seed=3),
        scheduler=HyperBandForBOHB(max_t=9),
        max_concurrent_trials=2,
        executor=processes(2),
    )
    check_histories(grid)
    assert len(grid) == 5


class FailAfter(tune.Callback):
    """Ends the run after some results, in the middle of it; only once."""

    def __init__(self, count: int, marker: Path) -> None:
        self.count = count
        self.marker = str(marker)

    def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
        self.count -= 1
        if self.count <= 0 and first_time(self.marker):
            raise ValueError("enough")


@pytest.mark.parametrize("count", [7, 20, 33])
def test_a_resumed_run_comes_to_the_same_decisions(tmp_path: Path, count: int) -> None:
    with pytest.raises(TuneError, match="enough"):
        fit(
            Growing,
            tmp_path,
            BAND,
            metric="score",
            mode="max",
            scheduler=hyperband(),
            executor=processes(2),
            callbacks=[FailAfter(count, tmp_path / "failed")],
        )
    tuner = tune.Tuner.restore(str(tmp_path / "run"), Growing, executor=processes(2))
    grid = tuner.fit()
    check_histories(grid)
    assert reached(grid) == BAND_REACHES
