"""Makes a large experiment without running it: a small run whose record grows.

::

    Tuner.fit() of two trials --> experiment.db --> ExperimentDB adds trials of the same shape

The added trials have no directories. Their rows have the shape of the rows of the two that ran,
which is checked.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

from _trainables import Reusable

import localtune as tune
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.trial_record import take_result
from localtune.trial.status import Status
from localtune.trial.trial import Trial

_BATCH = 500


def make_large(storage: Path, trials: int) -> Path:
    """Makes an experiment with ended trials of one result each.

    Args:
        storage: Directory of experiments.
        trials: Number of trials, at least 2.

    Returns:
        Directory of the experiment.
    """
    path = storage / f"large_{trials}"
    tune.Tuner(
        Reusable,
        param_space={"x": tune.uniform(0.0, 1.0), "layers": tune.choice([1, 2, 3]), "epochs": 10},
        tune_config=tune.TuneConfig(metric="score", mode="min", num_samples=2, reuse_actors=True),
        run_config=tune.RunConfig(name=path.name, storage_path=storage, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1),
    ).fit()
    with contextlib.closing(ExperimentDB(str(path))) as db:
        model = db.load()[0]
        random_state = random.Random(1)
        for first in range(2, trials, _BATCH):
            numbers = range(first, min(first + _BATCH, trials))
            db.save([_added(db, model, number, random_state) for number in numbers])
    _check_shapes(path)
    return path


def _check_shapes(path: Path) -> None:
    """Raises an error if the rows of the last trial differ in kind or size from those that ran."""
    with contextlib.closing(sqlite3.connect(path / "experiment.db")) as connection:
        for table, sizes in (("trials", "origin progress"), ("results", "result")):
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            kinds = ", ".join(f"typeof({name})" for name in columns)
            lengths = ", ".join(f"length({name})" for name in sizes.split())
            query = f"SELECT {kinds}, {lengths} FROM {table} ORDER BY trial_id"
            # The second trial: the first one's record has what trials share.
            _, real, *_ = connection.execute(f"{query} LIMIT 2")
            (added,) = connection.execute(f"{query} DESC LIMIT 1")
            count = len(columns)
            alike = zip(real[count:], added[count:], strict=True)
            if real[:count] != added[:count] or any(abs(a - b) > 0.2 * a for a, b in alike):
                raise RuntimeError(f"rows of {table}: {real} of a run, {added} added")


def _added(db: ExperimentDB, model: Trial, number: int, random_state: random.Random) -> Trial:
    x, layers = random_state.random(), random_state.choice([1, 2, 3])
    trial_id = f"{model.trial_id.rpartition('_')[0]}_{number:05d}"
    trial = Trial(
        model.trainable_name,
        trial_id=trial_id,
        config={**model.config, "x": x, "layers": layers},
        evaluated_params={"x": x, "layers": layers},
        experiment_tag=f"{number}_layers={layers},x={x:.4f}",
        experiment_path=model.experiment_path,
        placement_group_factory=model.placement_group_factory,
        stopping_criterion=model.stopping_criterion,
        checkpoint_config=model.checkpoint_config,
        max_failures=model.max_failures,
        log_to_file=model.log_to_file,
        seed=random_state.getrandbits(32),
    )
    trial.dirname = f"{trial}_{trial.experiment_tag}"
    trial.own_files = dict(model.own_files)
    trial.start_time = model.start_time
    result: dict[str, Any] = {**model.last_result, "score": x, "trial_id": trial_id}
    del result["config"]
    take_result(trial, result)
    db.add_result(trial, 1, trial.last_result)
    trial.status = Status.TERMINATED
    trial.close()
    return trial
