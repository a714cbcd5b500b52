"""A run that is taken up again with other constants, objects and resources."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import PopulationBasedTraining
from tests.small_runs import make_tuner, statuses


class Loader:
    """An object in the configuration; it does not know how to be compared."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("a loader cannot be compared")

    __hash__ = None  # type: ignore[assignment]


def needs_memory(config: dict[str, Any]) -> None:
    """Runs out of memory with the large batch, or with one CPU."""
    resources: Any = tune.get_context().get_trial_resources()
    cpus = resources.required_resources["CPU"]
    if config["loader"].batch > 8 or cpus < 2:
        raise MemoryError("too large")
    tune.report(
        {
            "lr": config["lr"],
            "twice": config["twice"],
            "batch": config["loader"].batch,
            "steps": config["net"]["steps"],
            "width": config["net"]["width"],
        }
    )


def space(batch: int, steps: int) -> dict[str, Any]:
    return {
        "lr": tune.uniform(0, 1),
        "twice": tune.sample_from(lambda config: 2 * config["lr"]),
        "loader": Loader(batch),
        "net": {"steps": steps, "width": tune.grid_search([1, 2])},
    }


def by_tuner(storage: Path) -> Any:
    make_tuner(needs_memory, storage, space(64, 5), seed=1).fit()
    return tune.Tuner.restore(
        str(storage / "run"),
        tune.with_resources(needs_memory, {"cpu": 2}),
        param_space=space(8, 9),
        resume_errored=True,
        executor=tune.InProcessExecutor(num_cpus=2),
    ).fit()


def by_run(storage: Path) -> Any:
    options: dict[str, Any] = {
        "name": "run",
        "storage_path": storage,
        "verbose": 0,
        "raise_on_failed_trial": False,
        "executor": tune.InProcessExecutor(num_cpus=2),
    }
    tune.run(needs_memory, config=space(64, 5), seed=1, **options)
    analysis = tune.run(
        needs_memory,
        config=space(8, 9),
        resources_per_trial={"cpu": 2},
        resume="AUTO+ERRORED",
        **options,
    )
    return tune.ResultGrid(analysis)


@pytest.mark.parametrize("go_on", [by_tuner, by_run])
def test_constants_objects_and_resources_are_taken_anew_and_drawn_values_stay(
    tmp_path: Path, go_on: Callable[[Path], Any]
) -> None:
    grid = go_on(tmp_path)

    assert statuses(grid) == ["TERMINATED", "TERMINATED"], grid.errors
    for number, result in enumerate(grid):
        assert (result.metrics["batch"], result.metrics["steps"]) == (8, 9)
        assert result.metrics["width"] == number + 1
        drawn = float(result.path.partition("lr=")[2].partition(",")[0])
        assert math.isclose(result.metrics["lr"], drawn, abs_tol=1e-3)
        assert result.metrics["twice"] == 2 * result.metrics["lr"]


class Fails(tune.Trainable):
    """Fails in its third step as long as there is no file ``go``."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        if self.count > 2 and not Path(self.config["go"]).exists():
            raise ValueError("not yet")
        return {"score": self.config["rate"], "rate": self.config["rate"], "done": self.count > 3}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]


def test_a_constant_that_a_scheduler_has_changed_stays(tmp_path: Path) -> None:
    space: dict[str, Any] = {
        "rate": tune.grid_search([0.1, 0.9]),
        "decay": 0.5,
        "go": str(tmp_path / "go"),
    }
    scheduler = PopulationBasedTraining(
        "training_iteration",
        "score",
        "max",
        perturbation_interval=1,
        hyperparam_mutations={"decay": [0.25, 0.5, 0.75]},
        resample_probability=0,
    )
    first = make_tuner(
        Fails, tmp_path, space, scheduler=scheduler, seed=3, checkpoint_frequency=1
    ).fit()
    assert {(result.config or {})["decay"] for result in first} != {0.5}
    (tmp_path / "go").touch()

    grid = tune.Tuner.restore(
        str(tmp_path / "run"), Fails, resume_errored=True, param_space=space, executor="inprocess"
    ).fit()

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    assert {(result.config or {})["decay"] for result in grid} != {0.5}


def test_a_request_that_this_machine_can_never_meet_is_refused_for_trials_that_exist(
    tmp_path: Path,
) -> None:
    make_tuner(needs_memory, tmp_path, space(64, 5)).fit()

    tuner = tune.Tuner.restore(
        str(tmp_path / "run"),
        tune.with_resources(needs_memory, {"cpu": 3}),
        resume_errored=True,
        executor=tune.InProcessExecutor(num_cpus=2),
    )
    with pytest.raises(tune.TuneError, match=r"can never run\. The trial asks for 3 CPU"):
        tuner.fit()
