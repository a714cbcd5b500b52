"""The strict check of results for the metric that a run optimises."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy
import pytest

import localtune as tune
from localtune.controller.metric_check import MetricCheck
from localtune.error import MissingMetricError, TrialError, TuneError
from localtune.schedulers import ASHAScheduler, MedianStoppingRule
from localtune.search.optuna import OptunaSearch
from localtune.stopper import ExperimentPlateauStopper, TrialPlateauStopper
from localtune.trial.trial import Trial
from tests.small_runs import Recorder, fit, reporting, statuses

TRIAL = Trial("train", trial_id="abc_00000")


@pytest.mark.parametrize(
    ("metric", "result"),
    [
        (None, {"loss": 1}),
        ("loss", {"loss": None, "x": 1}),
        ("eval/loss", {"eval/loss": 1}),
        ("_metric", {"loss": 1}),
        ("loss", {}),
        ("loss", {"done": True, "training_iteration": 1, "config/a": 1, "config/b": 2, "pid": 3}),
        ("training_iteration", {"training_iteration": 3, "x": 1}),
    ],
)
def test_a_result_that_passes(metric: str | None, result: dict[str, Any]) -> None:
    assert MetricCheck(metric).error_of(TRIAL, result) is None


@pytest.mark.parametrize(
    ("metric", "reported", "hint"),
    [
        ("los", ["loss"], "Did you mean 'loss'?"),
        ("loss", ["eval/loss", "step"], "Did you mean 'eval/loss'?"),
        ("zzz", ["loss", "step"], ""),
    ],
)
def test_the_error_of_a_missing_metric_names_those_of_the_result(
    metric: str, reported: list[str], hint: str
) -> None:
    error = MetricCheck(metric).error_of(TRIAL, dict.fromkeys(reported, 1))
    assert isinstance(error, MissingMetricError)
    assert isinstance(error, TuneError)
    assert isinstance(error, ValueError)
    text = str(error)
    assert f"the metric {metric!r}, but trial train_abc_00000 reported" in text
    assert ", ".join(map(repr, reported)) in text
    assert hint in text
    assert ("Did you mean" in text) is bool(hint)
    assert "TUNE_DISABLE_STRICT_METRIC_CHECKING=1" in text


def test_the_check_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    assert MetricCheck("loss").error_of(TRIAL, {"x": 1}) is None


# -- in a run -----------------------------------------------------------------------------------


def test_a_run_ends_at_the_first_result_without_the_metric(tmp_path: Path) -> None:
    recorder = Recorder()
    with pytest.raises(MissingMetricError, match="Did you mean 'score'"):
        fit(
            reporting,
            tmp_path,
            metric="scores",
            mode="max",
            num_samples=3,
            max_concurrent_trials=1,
            callbacks=[recorder],
        )
    assert recorder.calls == [("start", 0), ("end", 1)]


@pytest.mark.parametrize("value", [None, 0, {}])
def test_trials_that_report_nothing_have_no_best_result(tmp_path: Path, value: Any) -> None:
    def train(config: dict[str, Any]) -> Any:
        return value

    grid = fit(train, tmp_path, {"a": 1, "b": 2}, metric="score", mode="max", num_samples=2)
    assert statuses(grid) == ["TERMINATED"] * 2
    assert "training_iteration" not in grid[0].metrics
    assert grid[0].metrics["done"] is True
    with pytest.raises(RuntimeError, match=r"'score'.*no trial"):
        grid.get_best_result()


def test_the_metric_of_bare_numbers_needs_no_name(tmp_path: Path) -> None:
    grid = fit(lambda config: config["x"], tmp_path, {"x": tune.grid_search([2, 5])}, mode="max")
    assert grid.get_best_result().metrics["_metric"] == 5


# -- values that cannot be compared ----------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 0.5, True, None, float("nan"), -float("inf")])
def test_a_number_can_be_compared(value: Any) -> None:
    assert (
        MetricCheck("loss", numbers=["x"]).odd_value_of(TRIAL, {"loss": value, "x": value}) is None
    )


@pytest.mark.parametrize("key", ["loss", "eval/x"])
@pytest.mark.parametrize("value", ["low", "0.5", [1], (1,), b"1", numpy.array([1.0]), 1j])
def test_what_is_no_number_names_the_metric_the_value_and_the_remedy(key: str, value: Any) -> None:
    check = MetricCheck("loss", None, "_metric", numbers=["eval/x"])
    error = check.odd_value_of(TRIAL, {key: value})
    assert isinstance(error, TrialError)
    text = str(error)
    assert f"The metric {key!r}" in text and "must be a number" in text
    assert f"of type {type(value).__name__}" in text
    assert "Report it as one number" in text
    assert error.trial_id == "abc_00000"


def test_values_that_are_not_compared_may_be_anything() -> None:
    assert MetricCheck("loss").odd_value_of(TRIAL, {"loss": 1, "note": "low"}) is None


def reports_one_odd_value(config: dict[str, Any]) -> None:
    for step in range(3):
        is_odd = config["odd"] is not None and step == 1
        tune.report({"loss": config["odd"] if is_odd else 1.0 - step / 10, "epoch": step})


@pytest.mark.parametrize(
    "odd", ["low", [1.0], {1, 2}, {"a": 1}], ids=["text", "list", "object", "dict"]
)
@pytest.mark.parametrize(
    "decider",
    [
        {"scheduler": ASHAScheduler(max_t=3)},
        {
            "scheduler": MedianStoppingRule(
                "training_iteration", grace_period=0, min_samples_required=1
            )
        },
        {"stop": {"loss": 5}},
        {"stop": TrialPlateauStopper("loss", num_results=2, grace_period=2)},
        {"stop": ExperimentPlateauStopper("loss", top=2)},
        {"stop": [TrialPlateauStopper("loss")]},
        {"search_alg": OptunaSearch(seed=1)},
    ],
    ids=["asha", "median", "dict", "plateau", "experiment plateau", "list", "optuna"],
)
def test_an_odd_metric_fails_its_trial_in_all_roles(
    tmp_path: Path, decider: dict[str, Any], odd: Any
) -> None:
    grid = fit(
        reports_one_odd_value,
        tmp_path,
        {"odd": tune.grid_search([odd, None]), "x": 1}
        if "search_alg" not in decider
        else {"odd": tune.choice([odd]), "x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        **copy.deepcopy(decider),
    )
    assert isinstance(grid[0].error, TrialError)
    assert "'loss'" in str(grid[0].error)
    if "search_alg" not in decider:
        assert grid[1].error is None
