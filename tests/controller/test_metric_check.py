"""The strict check of results for the metric that a run optimises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.controller.metric_check import MetricCheck
from localtune.error import MissingMetricError, TuneError
from localtune.experiment.trial import Trial
from tests.runs import Recorder, fit, reporting, statuses

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
def test_a_missing_metric_names_what_there_is(metric: str, reported: list[str], hint: str) -> None:
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
