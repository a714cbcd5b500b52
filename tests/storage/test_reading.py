"""Readers find runs, interrupted trials, and results that are in files only."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.locks import experiment_locked
from localtune.storage.reading import load_trial, load_trials, read_experiment
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.records import make_trial


def record(experiment: Path, *trials: Trial) -> None:
    with contextlib.closing(ExperimentDB(str(experiment))) as db:
        db.start_work(None, None)
        db.save(trials)


def line(number: int, trial_id: str = "abc_00000", **more: Any) -> str:
    result = {"loss": 10 - number, "training_iteration": number, "trial_id": trial_id, **more}
    return json.dumps(result) + "\n"


@pytest.mark.parametrize("status", list(Status))
def test_a_running_trial_that_no_process_works_on_reads_as_interrupted(
    tmp_path: Path, status: Status
) -> None:
    trial = make_trial(tmp_path)
    trial.status = status
    record(tmp_path, trial)
    with experiment_locked(str(tmp_path)):
        (seen,) = load_trials(str(tmp_path))
        assert seen.status is status
        found = load_trial(trial.path)
        assert found is not None and found.status is status
    expected = Status.INTERRUPTED if status is Status.RUNNING else status

    (seen,) = load_trials(str(tmp_path))

    assert seen.status is expected
    found = load_trial(trial.path)
    assert found is not None and found.status is expected


def test_trials_of_an_earlier_run_are_interrupted_though_the_latest_runs(tmp_path: Path) -> None:
    trials = [make_trial(tmp_path, number) for number in range(2)]
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        for trial in trials:
            trial.status = Status.RUNNING
            db.begin_run(started=1.0)
            db.start_work("loss", "min")
            db.save([trial])
    with experiment_locked(str(tmp_path)):
        first, second = (read_experiment(str(tmp_path), run) for run in (1, 2))
    assert (first.is_running, second.is_running) == (False, True)
    assert [each.status for each in (*first.trials, *second.trials)] == ["INTERRUPTED", "RUNNING"]
    assert [each.number for each in first.runs] == [1, 2]
    assert (first.run.number, first.run.metric, first.run.mode) == (1, "loss", "min")
    assert read_experiment(str(tmp_path)).run.number == 2


def test_rows_of_results_that_are_ahead_of_their_trial_are_taken_in(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, config={"a": 1})
    trial.status = Status.RUNNING
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([trial])
        for number in (1, 2, 3):
            db.add_result(trial, number, {"loss": 4 - number, "time_total_s": number / 2})
        db.save(())

    (seen,) = load_trials(str(tmp_path))

    assert (seen.result_count, seen.run_time_s) == (3, 1.5)
    assert (seen.last_result["loss"], seen.last_result["config"]) == (1, {"a": 1})
    assert seen.metric_analysis["loss"]["max"] == 3


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, 2, id="no file"),
        pytest.param("", 2, id="empty"),
        pytest.param(line(1), 2, id="shorter"),
        pytest.param(line(1) + line(2), 2, id="the same"),
        pytest.param(line(1) + line(2) + line(3) + line(4), 4, id="ahead"),
        pytest.param(line(1) + line(2) + line(3) + line(4)[:-1], 3, id="torn"),
        pytest.param(line(1) + line(2) + line(3) + "{]\n" + line(5), 3, id="no JSON"),
        pytest.param(line(1) + line(2) + "[1]\n", 2, id="no result"),
        pytest.param("mine\n" * 5, 2, id="of the user"),
        pytest.param(json.dumps({"loss": 3}) + "\n" * 5, 2, id="of the user, and JSON"),
        pytest.param(line(1) + line(2) + line(3, "abc_00001"), 2, id="of another trial"),
    ],
)
def test_results_ahead_of_the_record_are_taken_if_they_are_the_trials(
    tmp_path: Path, content: str | None, expected: int
) -> None:
    trial = make_trial(tmp_path)
    trial.status = Status.RUNNING
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        db.save([trial])
        for number in (1, 2):
            db.add_result(trial, number, json.loads(line(number)))
        db.save(())
    if content is not None:
        Path(trial.path, "result.json").write_text(content)

    (seen,) = load_trials(str(tmp_path))

    assert (seen.result_count, seen.last_result["training_iteration"]) == (expected, expected)
    assert seen.metric_analysis["loss"]["min"] == 10 - expected
    # The process that runs it records all results within a second.
    with experiment_locked(str(tmp_path)):
        (seen,) = load_trials(str(tmp_path))
    assert seen.result_count == 2


def test_a_trial_that_has_ended_is_as_it_is_on_record(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    trial.status = Status.TERMINATED
    record(tmp_path, trial)
    Path(trial.path, "result.json").write_text(line(1))

    (seen,) = load_trials(str(tmp_path))

    assert (seen.result_count, seen.last_result) == (0, {})
