"""Tuner: what it writes, runs and returns."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import ResourceRequestError, TuneError
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from tests.runs.test_stopping import StopAll
from tests.small_runs import (
    Counting,
    Recorder,
    fit,
    make_tuner,
    processes,
    reporting,
    rows,
    statuses,
)

pytestmark = pytest.mark.slow

# -- before fit ---------------------------------------------------------------------------------


def test_making_a_tuner_writes_nothing(tmp_path: Path) -> None:
    tuner = make_tuner(reporting, tmp_path / "deep" / "er")
    assert list(tmp_path.iterdir()) == []
    assert not tune.Tuner.can_restore(tuner.path)
    tuner.fit()
    assert {".validate_storage_marker", "tuner.pkl"} <= set(os.listdir(tuner.path))
    assert tune.Tuner.can_restore(tuner.path)


def test_there_are_no_results_before_fit(tmp_path: Path) -> None:
    tuner = make_tuner(reporting, tmp_path)
    with pytest.raises(RuntimeError, match=r"no results yet: call fit\(\) first"):
        tuner.get_results()


def test_the_default_name_is_the_trainable_and_the_time(tmp_path: Path) -> None:
    before = datetime.datetime.now().replace(microsecond=0)
    paths = [make_tuner(reporting, tmp_path, name=None).path for _ in range(50)]
    names = sorted({os.path.basename(path) for path in paths})
    assert len(names) == 50, "tuners that are made in the same second have a name each"
    assert list(tmp_path.iterdir()) == []
    made = datetime.datetime.strptime(
        names[0][: len("reporting_2030-12-31_23-59-59")], "reporting_%Y-%m-%d_%H-%M-%S"
    )
    assert before <= made <= datetime.datetime.now()


def test_the_default_name_can_go_without_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_DISABLE_DATED_SUBDIR", "1")
    names = {os.path.basename(make_tuner(reporting, tmp_path, name=None).path) for _ in range(2)}
    assert names == {"reporting"}


def test_the_configs_that_are_passed_stay_as_they_are(tmp_path: Path) -> None:
    run_config = tune.RunConfig(storage_path=tmp_path, verbose=0, callbacks=[])
    tune_config = tune.TuneConfig(num_samples=2)
    space = {"x": tune.grid_search([1, 2]), "deep": {"list": [1]}}
    for _ in range(2):
        tuner = tune.Tuner(
            reporting,
            param_space=space,
            tune_config=tune_config,
            run_config=run_config,
            executor="inprocess",
        )
        assert len(tuner.fit()) == 4
    assert run_config.name is None
    assert run_config.callbacks == []
    assert space == {"x": {"grid_search": [1, 2]}, "deep": {"list": [1]}}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_trial_cannot_change_the_space_of_the_others(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, int]:
        config["deep"]["list"].append(2)
        return {"length": len(config["deep"]["list"])}

    grid = fit(train, tmp_path, {"deep": {"list": [1]}}, num_samples=2)
    assert [result.metrics["length"] for result in grid] == [2, 2]


# -- fit ----------------------------------------------------------------------------------------


def test_fit_returns_one_result_per_trial_in_order(tmp_path: Path) -> None:
    tuner = make_tuner(
        reporting,
        tmp_path,
        {"x": tune.grid_search([3, 1, 2])},
        metric="score",
        mode="min",
        num_samples=2,
    )
    grid: Any = tuner.fit()
    assert [result.config["x"] for result in grid] == [3, 1, 2, 3, 1, 2]
    assert grid.get_best_result().config == {"x": 1}
    assert grid.get_best_result(mode="max").config == {"x": 3}
    assert grid.experiment_path == str(tmp_path / "run")
    assert [result.config for result in tuner.get_results()] == [result.config for result in grid]


def test_fit_again_is_a_new_session_in_the_same_directory(tmp_path: Path) -> None:
    tuner = make_tuner(reporting, tmp_path, num_samples=2)
    first, second = tuner.fit(), tuner.fit()
    assert len(first) == len(second) == 2
    paths = {result.path for grid in (first, second) for result in grid}
    assert len(paths) == 4
    assert {os.path.dirname(str(path)) for path in paths} == {str(tmp_path / "run")}
    assert [result.path for result in tuner.get_results()] == [result.path for result in second]


def test_fit_again_starts_with_fresh_deciders(tmp_path: Path) -> None:
    tuner = make_tuner(
        Counting,
        tmp_path,
        metric="count",
        mode="max",
        scheduler=FIFOScheduler(),
        search_alg=BasicVariantGenerator(),
        stop=StopAll(2),
    )
    for _ in range(2):
        assert [len(rows(result)) for result in tuner.fit()] == [2]


@pytest.mark.parametrize("executor", ["inprocess", "processes", None])
def test_every_executor_gives_the_same_results(tmp_path: Path, executor: Any) -> None:
    grid = fit(
        reporting,
        tmp_path,
        {"x": tune.grid_search([1, 2]), "steps": 2},
        executor=processes(2) if executor == "processes" else executor,
    )
    assert [[row["score"] for row in rows(result)] for result in grid] == [[1, 2], [2, 4]]
    assert {result.metrics["pid"] for result in grid}.isdisjoint({os.getpid()}) is (
        executor != "inprocess"
    )


def test_without_a_space_the_config_is_empty(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, bool]:
        return {"is_empty": config == {}}

    assert fit(train, tmp_path)[0].metrics["is_empty"] is True


def test_a_registered_name_is_a_trainable(tmp_path: Path) -> None:
    tune.register_trainable("ns/mine", reporting)
    grid = fit("ns/mine", tmp_path, name=None)
    assert grid[0].metrics["score"] == 1
    assert os.path.basename(grid.experiment_path).startswith("ns_mine_")


@pytest.mark.parametrize("limit", [1, 2])
def test_max_concurrent_trials_limits_how_many_run_at_once(tmp_path: Path, limit: int) -> None:
    class MostAtOnce(tune.Callback):
        most = 0

        def on_step_end(self, iteration, trials, **info):  # type: ignore[no-untyped-def]
            self.most = max(self.most, sum(not trial.is_finished() for trial in trials))

    callback = MostAtOnce()
    grid = fit(
        Counting,
        tmp_path,
        num_samples=5,
        max_concurrent_trials=limit,
        executor=processes(8),
        callbacks=[callback],
    )
    assert statuses(grid) == ["TERMINATED"] * 5
    assert callback.most == limit


@pytest.mark.parametrize("limit", [None, 0])
def test_no_limit_leaves_it_to_the_resources(tmp_path: Path, limit: Any) -> None:
    assert len(fit(reporting, tmp_path, num_samples=3, max_concurrent_trials=limit)) == 3


# -- what functions produce ---------------------------------------------------------------------


def returns_early(config: dict[str, Any]) -> None:
    tune.report({"x": 1})
    return


def yields(config: dict[str, Any]) -> Any:
    yield {"x": 1}
    yield 2


def reports_and_returns(config: dict[str, Any]) -> dict[str, int]:
    tune.report({"x": 1})
    return {"x": 2}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (returns_early, [("x", 1)]),
        (yields, [("x", 1), ("_metric", 2)]),
        (reports_and_returns, [("x", 1), ("x", 2)]),
        (lambda config: 0.5, [("_metric", 0.5)]),
        (lambda config: True, [("_metric", True)]),
        (lambda config: {"x": 3}, [("x", 3)]),
    ],
)
def test_each_report_yield_and_return_is_a_row(
    tmp_path: Path, function: Any, expected: list[tuple[str, Any]]
) -> None:
    result = fit(function, tmp_path)[0]
    lines = rows(result)
    assert [line[key] for line, (key, _) in zip(lines, expected, strict=True)] == [
        value for _, value in expected
    ]
    # The end of the function is no row of its own.
    assert [line["done"] for line in lines] == [False] * len(lines)
    assert result.metrics["done"] is True
    assert result.metrics["training_iteration"] == len(lines)


def test_a_function_that_never_reports_ends_well_with_what_is_known(tmp_path: Path) -> None:
    grid = fit(lambda config: None, tmp_path, {"x": 1})
    assert statuses(grid) == ["TERMINATED"]
    metrics = grid[0].metrics
    assert metrics["done"] is True
    assert metrics["config"] == {"x": 1}
    assert "training_iteration" not in metrics
    assert {"trial_id", "date", "timestamp", "pid", "hostname", "node_ip"} <= metrics.keys()


def test_a_value_that_is_no_result_fails_the_trial(tmp_path: Path) -> None:
    assert isinstance(fit(lambda config: "text", tmp_path)[0].error, ValueError)


def test_results_tell_the_time(tmp_path: Path) -> None:
    before = int(time.time())
    lines = rows(fit(reporting, tmp_path, {"steps": 3})[0])
    assert [line["training_iteration"] for line in lines] == [1, 2, 3]
    total = 0.0
    for line in lines:
        assert line["time_this_iter_s"] >= 0
        total += line["time_this_iter_s"]
        assert line["time_total_s"] == pytest.approx(total)
        assert line["time_since_restore"] == pytest.approx(total)
        assert before <= line["timestamp"] <= time.time()
        datetime.datetime.strptime(line["date"], "%Y-%m-%d_%H-%M-%S")


def test_the_tag_is_in_the_metrics_but_not_in_the_file(tmp_path: Path) -> None:
    result = fit(reporting, tmp_path, {"x": tune.grid_search([1])})[0]
    assert result.metrics["experiment_tag"] == "0_x=1"
    assert "experiment_tag" not in rows(result)[0]


# -- resources ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "at_once"),
    [({"cpu": 1}, 2), ({"cpu": 2}, 1), ({"cpu": 0.5}, 4), (lambda config: {"cpu": 2}, 1)],
)
def test_as_many_trials_run_as_their_requests_allow(
    tmp_path: Path, request_: Any, at_once: int
) -> None:
    class MostAtOnce(tune.Callback):
        most = 0

        def on_step_end(self, iteration, trials, **info):  # type: ignore[no-untyped-def]
            self.most = max(self.most, sum(trial.status == "RUNNING" for trial in trials))

    callback = MostAtOnce()
    trainable = tune.with_resources(Counting, request_)
    fit(trainable, tmp_path, num_samples=5, executor=processes(2), callbacks=[callback])
    assert callback.most == at_once


def test_a_request_that_can_never_be_met_names_what_there_is(tmp_path: Path) -> None:
    recorder = Recorder()
    trainable = tune.with_resources(reporting, {"cpu": 3})
    with pytest.raises(ResourceRequestError, match=r"can never run.*asks for 3 CPU.* 2"):
        fit(trainable, tmp_path, executor=processes(2), callbacks=[recorder])
    assert recorder.calls == [] and list(tmp_path.iterdir()) == []


def test_a_request_that_cannot_be_made_says_who_failed(tmp_path: Path) -> None:
    trainable = tune.with_resources(reporting, lambda config: {"cpu": config["gone"]})
    with pytest.raises(TuneError, match="which resources a trial needs raised KeyError: 'gone'"):
        fit(trainable, tmp_path)


def test_a_trial_knows_its_resources(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, float]:
        resources = tune.get_context().get_trial_resources()
        assert resources is not None
        threads = float(os.environ["OMP_NUM_THREADS"])
        return {"cpus": resources.required_resources["CPU"], "threads": threads}

    trainable = tune.with_resources(train, {"cpu": 2})
    metrics = fit(trainable, tmp_path, executor=processes(2))[0].metrics
    assert (metrics["cpus"], metrics["threads"]) == (2.0, 2.0)
