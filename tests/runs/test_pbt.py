"""Population based training with real worker processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.analysis.result_grid import ResultGrid
from localtune.checkpoint import Checkpoint
from localtune.error import TuneError
from localtune.schedulers import PopulationBasedTraining, PopulationBasedTrainingReplay

RATES = [1.0, 100.0]


class Slope(tune.Trainable):
    """Gains ``config["rate"]`` with each step; gets a new worker for a new config."""

    def setup(self, config: dict[str, Any]) -> None:
        self.score = 0.0

    def step(self) -> dict[str, Any]:
        self.score += self.config["rate"]
        return {"score": self.score, "worker": os.getpid(), "done": self.iteration >= 7}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"score": self.score}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.score = checkpoint["score"]


class ResettableSlope(Slope):
    """Keeps its worker when its config changes."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.score = 0.0
        return True


def slope(config: dict[str, Any]) -> None:
    """As :class:`Slope`, as a function."""
    start, score = 0, 0.0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        start, score = json.loads(Path(checkpoint.path, "state").read_text())
    for step in range(start + 1, 9):
        score += config["rate"]
        folder = Path(f"made_{step}")
        folder.mkdir(exist_ok=True)
        (folder / "state").write_text(json.dumps([step, score]))
        origin = None if checkpoint is None else checkpoint.path
        metrics = {"score": score, "worker": os.getpid(), "origin": origin}
        tune.report(metrics, checkpoint=Checkpoint.from_directory(str(folder)))


def run(trainable: Any, path: Path, num_to_keep: int | None = None, **options: Any) -> ResultGrid:
    arguments: dict[str, Any] = {"perturbation_interval": 2, "resample_probability": 0}
    scheduler = PopulationBasedTraining(
        "training_iteration",
        hyperparam_mutations={"rate": [50.0, 100.0, 200.0]},
        **{**arguments, **options},
    )
    return tune.Tuner(
        trainable,
        param_space={"rate": tune.grid_search(RATES)},
        tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler, seed=1),
        run_config=tune.RunConfig(
            name="pbt",
            storage_path=str(path),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=num_to_keep),
        ),
        # One at a time, so that trials take turns: how fast each is does not matter.
        executor=tune.ProcessExecutor(num_cpus=1),
    ).fit()


@pytest.mark.parametrize("synch", [False, True])
@pytest.mark.parametrize("trainable", [Slope, ResettableSlope, slope])
def test_the_bad_trial_goes_on_from_the_checkpoint_of_the_good_one(
    tmp_path: Path, trainable: Any, synch: bool
) -> None:
    bad, good = run(trainable, tmp_path, synch=synch)
    assert bad.error is None and good.error is None
    assert bad.metrics is not None and bad.config is not None
    # Two steps of its own at most are below what the good one gains in one.
    assert bad.metrics["score"] > 8 * RATES[0] + RATES[1]
    assert bad.metrics["training_iteration"] == 8
    assert bad.config["rate"] in (50.0, 200.0, 100.0)
    line = json.loads((tmp_path / "pbt" / "pbt_global.txt").read_text().splitlines()[0])
    assert line[:2] == ["0_rate=1.0000", "1_rate=100.0000"]
    assert line[4] == {"rate": 100.0} and line[5]["rate"] in (50.0, 200.0)


def test_a_donors_checkpoint_is_read_in_place_and_kept_as_long_as_it_is_needed(
    tmp_path: Path,
) -> None:
    bad, good = run(slope, tmp_path, num_to_keep=1, synch=True)
    for one, other in ((bad, good), (good, bad)):
        assert one.error is None and one.path is not None
        origins = {Path(row["origin"]).parent for row in history(one.path) if row["origin"]}
        assert Path(str(other.path)) in origins
        assert len(list(Path(one.path).glob("checkpoint_*"))) == 1
    # The last of them was cloned at its end: its result is that of its donor's checkpoint.
    assert good.checkpoint is not None and good.metrics is not None
    assert Path(good.checkpoint.path).parent == Path(str(bad.path))
    step, score = json.loads(Path(good.checkpoint.path, "state").read_text())
    assert (step, score) == (8, good.metrics["score"])

    restored = tune.Tuner.restore(str(tmp_path / "pbt"), slope).fit()
    again = restored[1].checkpoint
    assert again is not None and again.path == good.checkpoint.path
    analysis = restored._experiment_analysis
    last = analysis.get_last_checkpoint(analysis.trials[1])
    assert last is not None and last.path == good.checkpoint.path


def test_a_class_that_can_be_reset_keeps_its_workers(tmp_path: Path) -> None:
    results = run(ResettableSlope, tmp_path, synch=True)
    workers = {row["worker"] for result in results for row in history(result.path)}
    assert len(workers) == 1


def test_the_policy_of_the_trial_can_be_replayed(tmp_path: Path) -> None:
    bad, _ = run(Slope, tmp_path, synch=True)
    assert bad.metrics is not None
    policy = tmp_path / "pbt" / f"pbt_policy_{bad.metrics['trial_id']}.txt"
    replay = tune.Tuner(
        Slope,
        param_space={"rate": 7.0},
        tune_config=tune.TuneConfig(scheduler=PopulationBasedTrainingReplay(policy)),
        run_config=tune.RunConfig(name="replay", storage_path=str(tmp_path), verbose=0),
    )
    (result,) = replay.fit()
    assert result.error is None and result.metrics is not None
    assert result.metrics["training_iteration"] == 8
    assert result.metrics["score"] == bad.metrics["score"]
    assert result.config == bad.config


def test_a_result_without_the_metric_ends_the_run_with_a_clear_error(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"other": 1})

    with pytest.raises(TuneError, match="score"):
        run(train, tmp_path)


def history(path: str | None) -> list[dict[str, Any]]:
    assert path is not None
    return [json.loads(line) for line in Path(path, "result.json").read_text().splitlines()]
