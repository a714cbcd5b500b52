"""An ended trial keeps the form of its record until somebody asks for more than its status."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localtune.error import StorageError
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reading import load_trials
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.records import add_checkpoint, add_results, make_trial


def save_ended(directory: Path, count: int = 2) -> list[Trial]:
    trials = [make_trial(directory, number, config={"lr": number / 10}) for number in range(count)]
    for trial in trials:
        add_results(trial, [{"loss": 2.0}, {"loss": 1.0 + trial.config["lr"], "name": "x"}])
        add_checkpoint(trial)
        trial.status = Status.TERMINATED
        trial.close()
    with contextlib.closing(ExperimentDB(str(directory))) as db:
        db.save(trials)
    return trials


def is_closed(trial: Trial) -> bool:
    return type(trial) is not Trial


def test_status_place_and_latest_values_are_told_without_opening_the_record(
    tmp_path: Path,
) -> None:
    saved = save_ended(tmp_path)[1]

    trial = load_trials(str(tmp_path))[1]

    assert (trial.trial_id, trial.status, trial.path) == (saved.trial_id, saved.status, saved.path)
    assert trial.is_finished() and isinstance(trial, Trial)
    stats = trial.stats_of("loss")
    assert stats is not None and stats.as_dict() == saved.metric_analysis["loss"]
    assert trial.stats_of("other") is None
    assert trial.last_row() == saved.last_result
    assert is_closed(trial)


@pytest.mark.parametrize(
    "use",
    [
        lambda trial: trial.config,
        repr,
        vars,
        copy.copy,
        pickle.dumps,
        lambda trial: setattr(trial, "status", Status.PENDING),
    ],
)
def test_any_other_use_opens_it(use: Callable[[Trial], Any], tmp_path: Path) -> None:
    saved = save_ended(tmp_path)[1]
    trial = load_trials(str(tmp_path))[1]

    use(trial)

    assert not is_closed(trial)
    assert (trial.config, trial.last_result) == (saved.config, saved.last_result)
    assert trial.metric_analysis == saved.metric_analysis
    assert [each.checkpoint.path for each in trial.checkpoints] == [
        each.checkpoint.path for each in saved.checkpoints
    ]
    assert vars(trial).keys() == vars(saved).keys()


def test_a_change_of_a_closed_trial_stays(tmp_path: Path) -> None:
    save_ended(tmp_path)
    trial = load_trials(str(tmp_path))[1]

    trial.status = Status.PENDING

    assert trial.status is Status.PENDING and trial.config == {"lr": 0.1}


def test_a_damaged_record_is_told_when_it_is_used(tmp_path: Path) -> None:
    save_ended(tmp_path, 3)
    with contextlib.closing(sqlite3.connect(tmp_path / EXPERIMENT_DB_FILE)) as connection:
        connection.execute("UPDATE trials SET progress = x'80' WHERE number = 1")
        connection.commit()
    trials = load_trials(str(tmp_path))

    for use in (lambda: trials[1].config, trials[1].last_row, lambda: trials[1].stats_of("loss")):
        with pytest.raises(StorageError, match="cannot be read"):
            use()
    assert trials[2].config == {"lr": 0.2}


def test_a_module_that_is_missing_is_told_when_the_trials_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vanishing_layers.py").write_text("class Layer:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("vanishing_layers")
    trial = make_trial(tmp_path, config={"layer": module.Layer()})
    trial.status = Status.TERMINATED
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([trial])
    monkeypatch.delitem(sys.modules, "vanishing_layers")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])

    with pytest.raises(StorageError, match="No module named 'vanishing_layers'"):
        load_trials(str(tmp_path))
