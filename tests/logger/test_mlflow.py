"""The callback and setup_mlflow with MLflow itself, on an SQLite database."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

import localtune as tune
from localtune.integration.mlflow import setup_mlflow
from localtune.logger.mlflow import MLflowLoggerCallback
from tests.small_runs import Counting, Recorder, fit, make_tuner, processes, statuses

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    # Connections that are kept would stay open to the end of the process.
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new database; making one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
        path = tmp_path_factory.mktemp("mlflow") / "empty.db"
        client = mlflow.MlflowClient(f"sqlite:///{path}")
        client.create_experiment("sweep", artifact_location=str(path.parent / "artifacts"))
    yield path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def logger(store: str, **options: Any) -> MLflowLoggerCallback:
    return MLflowLoggerCallback(store, experiment_name="sweep", **options)


def runs_of(store: str, experiment: str = "sweep") -> dict[str, Any]:
    """Run by the parameter ``number``."""
    client = mlflow.MlflowClient(store)
    found = client.get_experiment_by_name(experiment)
    return {
        run.data.params.get("number", ""): run for run in client.search_runs([found.experiment_id])
    }


def history(store: str, run: Any, metric: str) -> list[tuple[int, float]]:
    points = mlflow.MlflowClient(store).get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in points]


def test_trials_are_runs_with_params_metrics_and_status(tmp_path: Path, store: str) -> None:
    grid = fit(
        Counting,
        tmp_path,
        {"number": tune.grid_search([0, 1]), "fail_at": tune.sample_from(_fails), "a": {"b c": 1}},
        callbacks=[logger(store, tags={"who": "test"}, save_artifact="files")],
    )

    assert statuses(grid) == ["TERMINATED", "ERROR"]
    runs = runs_of(store)
    assert {number: run.info.status for number, run in runs.items()} == {
        "0": "FINISHED",
        "1": "FAILED",
    }
    run = runs["0"]
    trial_id = grid[0].metrics["trial_id"]
    assert run.data.params == {"number": "0", "fail_at": "0", "a/b c": "1"}
    assert run.data.tags["who"] == "test"
    assert run.data.tags["localtune.trial_id"] == trial_id
    assert run.info.run_name == run.data.tags["trial_name"]
    assert history(store, run, "nested/count") == [(1, 1), (2, 2), (3, 3)]
    assert "config/number" not in run.data.metrics
    client = mlflow.MlflowClient(store)
    for each in runs.values():
        names = {file.path for file in client.list_artifacts(each.info.run_id, "files")}
        assert "files/result.json" in names


def _fails(config: dict[str, Any]) -> int:
    return 2 if config["number"] == 1 else 0


def test_a_retried_and_a_resumed_trial_go_on_with_their_run(tmp_path: Path, store: str) -> None:
    tuner = make_tuner(
        Counting,
        tmp_path,
        {"number": 7, "steps": 5, "fail_at": 3, "once": str(tmp_path / "once")},
        callbacks=[logger(store)],
        checkpoint_frequency=1,
        max_failures=1,
        stop={"training_iteration": 4},
    )
    first = tuner.fit()
    again = tune.Tuner.restore(first.experiment_path, Counting, executor="inprocess").fit()

    assert statuses(again) == ["TERMINATED"]
    (run,) = runs_of(store).values()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(store, run, "count")] == [1, 2, 3, 4]


def test_a_trial_that_failed_goes_on_with_its_run_when_resumed(tmp_path: Path, store: str) -> None:
    tuner = make_tuner(
        Counting,
        tmp_path,
        {"number": 7, "fail_at": 3, "once": str(tmp_path / "once")},
        callbacks=[logger(store)],
        checkpoint_frequency=1,
    )
    first = tuner.fit()
    assert runs_of(store)["7"].info.status == "FAILED"

    tune.Tuner.restore(
        first.experiment_path, Counting, resume_errored=True, executor="inprocess"
    ).fit()

    (run,) = runs_of(store).values()
    assert run.info.status == "FINISHED"
    assert history(store, run, "count") == [(1, 1), (2, 2), (3, 3)]


def test_a_store_that_fails_later_does_not_end_the_run(
    tmp_path: Path, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(Recorder):
        def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
            connection = sqlite3.connect(tmp_path / "mlflow.db")
            connection.execute("ALTER TABLE runs RENAME TO gone")
            connection.close()

    grid = fit(Counting, tmp_path, callbacks=[Breaks(), logger(store)])

    assert statuses(grid) == ["TERMINATED"]
    assert "MLflow did not accept a result, and the run goes on without it" in caplog.text


def test_a_store_that_cannot_be_opened_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    callback = MLflowLoggerCallback("nosuch://host/path")
    with pytest.raises(tune.TuneError, match=r"MLflowLoggerCallback.setup raised"):
        fit(Counting, tmp_path, callbacks=[callback])


def test_params_may_be_those_of_the_end(tmp_path: Path, store: str) -> None:
    fit(Counting, tmp_path, {"number": 3}, callbacks=[logger(store, log_params_on_trial_end=True)])

    assert runs_of(store)["3"].data.params == {"number": "3"}


LONG = "k" * 260
ODD_KEYS = [LONG, LONG + "l", "a+b", "a*b", "/rooted", "up/../down", "..", "", "tab\there"]


def _reports_odd_keys(config: dict[str, Any]) -> None:
    tune.report({"loss": 0.5, **{key: float(i) for i, key in enumerate(ODD_KEYS)}})


def test_a_key_that_mlflow_refuses_costs_no_other_one(tmp_path: Path, store: str) -> None:
    odd = {key: i for i, key in enumerate(ODD_KEYS)}
    grid = fit(_reports_odd_keys, tmp_path, {"number": 1, **odd}, callbacks=[logger(store)])

    assert statuses(grid) == ["TERMINATED"]
    data = runs_of(store)["1"].data
    assert set(data.params.values()) == {str(i) for i in range(len(ODD_KEYS))}
    assert data.params["number"] == "1"
    assert data.metrics["loss"] == 0.5
    assert {float(i) for i in range(len(ODD_KEYS))} <= set(data.metrics.values())


def test_a_parameter_that_changes_costs_no_other_one(
    tmp_path: Path, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Begins(Recorder):
        def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
            client = mlflow.MlflowClient(store)
            experiment = client.get_experiment_by_name("sweep")
            tags = {"localtune.trial_id": trial.trial_id}
            run = client.create_run(experiment.experiment_id, tags=tags)
            client.log_param(run.info.run_id, "number", "another")

    options = {"log_params_on_trial_end": True}
    fit(Counting, tmp_path, {"number": 3, "a": 1}, callbacks=[Begins(), logger(store, **options)])

    assert runs_of(store)["another"].data.params == {"number": "another", "a": "1"}
    assert "MLflow refuses one of the params of a trial" in caplog.text


def test_the_callback_can_be_pickled(store: str) -> None:
    callback = logger(store)
    callback.setup()
    copy = pickle.loads(pickle.dumps(callback))
    callback.on_experiment_end([])

    assert copy.tracking_uri == store


def logs_itself(config: dict[str, Any]) -> None:
    client = setup_mlflow(config, config["store"], experiment_name="sweep", tags={"own": "yes"})
    client.log_metric("loss", 0.5, step=1)
    if config["number"] == 1 and not Path(config["once"]).exists():
        Path(config["once"]).touch()
        raise ValueError("once")
    client.end_run()
    tune.report({"loss": 0.5})


@pytest.mark.long
def test_setup_mlflow_in_trials(tmp_path: Path, store: str) -> None:
    grid = fit(
        logs_itself,
        tmp_path,
        {"number": tune.grid_search([0, 1]), "store": store, "once": str(tmp_path / "once")},
        executor=processes(1),
        max_failures=1,
    )

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    runs = runs_of(store)
    assert sorted(runs) == ["0", "1"]
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"loss": 0.5}
        assert run.data.tags["own"] == "yes"


def test_setup_mlflow_refuses_an_experiment_that_is_not_there(store: str) -> None:
    with pytest.raises(ValueError, match="MLflow has no experiment 'other'"):
        setup_mlflow({}, store, experiment_name="other")
