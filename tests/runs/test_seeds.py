"""One seed makes a run repeatable, however many trials run at a time."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy
import pytest

import localtune as tune
from localtune.error import TuneError
from localtune.trial.trial import seed_of_try
from tests.small_runs import first_time, fit, processes


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


# -- tries ----------------------------------------------------------------------------------------


def fails_by_chance(config: dict[str, Any]) -> None:
    """Fails in its first tries; each try leaves what it has drawn."""
    context = tune.get_context()
    drawn = [context.get_trial_seed(), random.random(), float(numpy.random.random())]
    with open(config["drawn"], "a") as file:
        file.write(json.dumps([*drawn, int(os.environ["LOCALTUNE_TRIAL_SEED"])]) + "\n")
    tries = len(Path(config["drawn"]).read_text().splitlines())
    if tries <= config["failures"]:
        raise ValueError("bad luck")
    tune.report({"drawn": drawn})


def drawn_by_tries(path: Path, failures: int, **options: Any) -> tuple[Any, list[list[float]]]:
    """The results, and what each try of the only trial has drawn."""
    drawn = path / "drawn"
    config = {"drawn": str(drawn), "failures": failures}
    options.setdefault("max_failures", failures)
    grid = fit(fails_by_chance, path, config, seed=7, executor=processes(1), **options)
    return grid, [json.loads(line) for line in drawn.read_text().splitlines()]


def test_each_try_of_a_trial_draws_other_numbers(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, tries = drawn_by_tries(tmp_path / "a", 3)
    assert len(tries) == 4
    assert len({number for row in tries for number in row}) == 12
    assert all(row[0] == row[3] for row in tries)
    assert all(row[1] == random.Random(row[0]).random() for row in tries)
    # The same tries in another run are the same.
    assert drawn_by_tries(tmp_path / "b", 3)[1] == tries


def test_a_try_that_is_run_again_alone_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "again").mkdir()
    grid, tries = drawn_by_tries(tmp_path / "a", 2)
    (trial,) = grid._experiment_analysis.trials
    assert trial.try_seed == tries[-1][0]
    assert grid[0].metrics["drawn"] == tries[-1][:3]
    for row in tries:
        monkeypatch.setenv("LOCALTUNE_REPEAT_SEED", str(int(row[0])))
        _, (drawn,) = drawn_by_tries(tmp_path / "again", 0, name=str(row[0]))
        assert drawn == row
        (tmp_path / "again" / "drawn").unlink()


class EndsTheRun(tune.Callback):
    """Ends the run when a try begins; once."""

    def __init__(self, at_try: int, marker: str) -> None:
        self._left = at_try
        self._marker = marker

    def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._left -= 1
        if self._left == 0 and first_time(self._marker):
            raise RuntimeError("the machine is gone")


@pytest.mark.parametrize("at_try", [1, 2, 3])
def test_a_run_that_is_taken_up_again_goes_on_in_the_same_try(tmp_path: Path, at_try: int) -> None:
    (tmp_path / "whole").mkdir()
    _, wanted = drawn_by_tries(tmp_path / "whole", 2)
    callback = EndsTheRun(at_try, str(tmp_path / "ended"))
    with pytest.raises(TuneError, match="the machine is gone"):
        drawn_by_tries(tmp_path, 2, callbacks=[callback])
    drawn = tmp_path / "drawn"
    assert (len(drawn.read_text().splitlines()) if drawn.exists() else 0) == at_try - 1
    tune.Tuner.restore(str(tmp_path / "run"), fails_by_chance).fit()
    assert [json.loads(line) for line in drawn.read_text().splitlines()] == wanted


def test_a_failed_trial_that_is_started_anew_is_in_its_next_try(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    _, wanted = drawn_by_tries(tmp_path / "whole", 1)
    grid, _ = drawn_by_tries(tmp_path, 1, max_failures=0)
    assert len(grid.errors) == 1
    grid = tune.Tuner.restore(str(tmp_path / "run"), fails_by_chance, restart_errored=True).fit()
    assert not grid.errors
    lines = (tmp_path / "drawn").read_text().splitlines()
    assert [json.loads(line) for line in lines] == wanted


def test_what_a_try_draws_depends_on_the_trial_and_the_number_of_the_try() -> None:
    seeds = {seed_of_try(seed, number) for seed in range(50) for number in range(1, 20)}
    assert len(seeds) == 50 * 19
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of_try(5, 1) == 5
