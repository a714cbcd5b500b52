"""XGBoost and LightGBM, trained in real sweeps: reports, checkpoints, and going on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

import localtune as tune
from localtune.integration import lightgbm as with_lightgbm
from localtune.integration import xgboost as with_xgboost
from tests.small_runs import checkpoint_names, fit, processes, rows, statuses

_X = np.random.default_rng(1).normal(size=(200, 3))
_Y = (_X[:, 0] + _X[:, 1] > 0).astype(int)


def of_xgboost(
    config: dict[str, Any], callbacks: list[Any], start: Any = None, rounds: int = 6
) -> Any:
    data = xgboost.DMatrix(_X, _Y)
    params = {"eta": config["eta"], "objective": "binary:logistic", "nthread": 1}
    return xgboost.train(
        params, data, rounds, evals=[(data, "valid")], callbacks=callbacks, xgb_model=start,
        verbose_eval=False,
    )  # fmt: skip


def of_lightgbm(
    config: dict[str, Any], callbacks: list[Any], start: Any = None, rounds: int = 6
) -> Any:
    data = lightgbm.Dataset(_X, _Y, free_raw_data=False)
    params = {"learning_rate": config["eta"], "objective": "binary", "num_threads": 1}
    return lightgbm.train(
        {**params, "verbose": -1}, data, rounds, valid_sets=[data], valid_names=["valid"],
        callbacks=callbacks, init_model=start,
    )  # fmt: skip


LIBRARIES: dict[str, Any] = {
    "xgboost": (with_xgboost, of_xgboost, "valid-logloss", lambda m: m.num_boosted_rounds()),
    "lightgbm": (with_lightgbm, of_lightgbm, "valid-binary_logloss", lambda m: m.num_trees()),
}


@pytest.fixture(params=sorted(LIBRARIES))
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def train(config: dict[str, Any]) -> None:
    """Fails once after four rounds, two after its checkpoint; then goes on from that."""
    module, train_with, metric, count = LIBRARIES[config["library"]]
    callback = module.TuneReportCheckpointCallback({"loss": metric}, frequency=2)
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        fail = _fail_after(5)
        train_with(config, [callback, fail])
    model = callback.get_model(checkpoint)
    train_with(config, [callback], start=model, rounds=6 - count(model))


def _fail_after(rounds: int) -> Any:
    class Fail(xgboost.callback.TrainingCallback):
        order = 90
        calls = 0

        def after_iteration(self, *arguments: Any) -> bool:
            self(None)
            return False

        def __call__(self, env: Any) -> None:
            self.calls += 1
            if self.calls == rounds:
                raise ValueError("only once")

    return Fail()


def test_a_sweep_reports_and_a_retry_goes_on_from_the_saved_model(
    tmp_path: Path, library: str
) -> None:
    module, _, _, count = LIBRARIES[library]
    grid = fit(
        train,
        tmp_path,
        {"eta": tune.grid_search([0.1, 0.5]), "library": library},
        executor=processes(2),
        max_failures=1,
        metric="loss",
        mode="min",
    )

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    best = grid.get_best_result()
    assert best.config["eta"] == 0.5
    for result in grid:
        losses = [row["loss"] for row in rows(result)]
        assert len(losses) == 6
        assert losses == sorted(losses, reverse=True)
        assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in range(3)]
        assert count(module.TuneReportCheckpointCallback.get_model(result.checkpoint)) == 6


def test_a_checkpoint_comes_at_the_end_by_default(tmp_path: Path, library: str) -> None:
    module, train_with, metric, count = LIBRARIES[library]

    def run(config: dict[str, Any]) -> None:
        train_with(config, [module.TuneReportCheckpointCallback(metric)])

    (result,) = fit(run, tmp_path, {"eta": 0.1})

    assert checkpoint_names(result) == ["checkpoint_000000"]
    assert count(module.TuneReportCheckpointCallback.get_model(result.checkpoint)) == 6
    assert metric in result.metrics


def test_the_callback_without_checkpoints(tmp_path: Path, library: str) -> None:
    module, train_with, metric, _ = LIBRARIES[library]

    def run(config: dict[str, Any]) -> None:
        def double(logged: dict[str, Any]) -> dict[str, Any]:
            return {"twice": 2 * logged[metric], **logged}

        train_with(config, [module.TuneReportCallback(["twice", metric], double)])

    (result,) = fit(run, tmp_path, {"eta": 0.1})

    assert len(rows(result)) == 6
    assert result.metrics["twice"] == 2 * result.metrics[metric]
    assert result.checkpoint is None


def test_a_scheduler_ends_a_training(tmp_path: Path, library: str) -> None:
    module, train_with, metric, _ = LIBRARIES[library]

    def run(config: dict[str, Any]) -> None:
        train_with(config, [module.TuneReportCallback(metric)])

    grid = fit(run, tmp_path, {"eta": 0.1}, stop={"training_iteration": 2})

    assert statuses(grid) == ["TERMINATED"]
    assert len(rows(grid[0])) == 2


def test_cross_validation_reports_means(tmp_path: Path) -> None:
    def run(config: dict[str, Any]) -> None:
        common = {"nfold": 2, "seed": 1}
        xgboost.cv(
            {"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(_X, _Y), 2,
            callbacks=[with_xgboost.TuneReportCheckpointCallback()], **common,
        )  # fmt: skip
        lightgbm.cv(
            {"objective": "binary", "num_threads": 1, "verbose": -1}, lightgbm.Dataset(_X, _Y), 2,
            callbacks=[with_lightgbm.TuneReportCheckpointCallback()], **common,
        )  # fmt: skip

    (result,) = fit(run, tmp_path)

    assert {"test-logloss-mean", "test-logloss-std"} <= rows(result)[0].keys()
    assert {"valid-binary_logloss-mean", "valid-binary_logloss-stdv"} <= result.metrics.keys()
    assert result.checkpoint is None


def test_a_metric_that_is_not_logged_fails_the_trial(tmp_path: Path, library: str) -> None:
    module, train_with, metric, _ = LIBRARIES[library]

    def run(config: dict[str, Any]) -> None:
        train_with(config, [module.TuneReportCallback("no_such")])

    (result,) = fit(run, tmp_path, {"eta": 0.1})

    assert isinstance(result.error, ValueError)
    assert "'no_such'" in str(result.error) and metric in str(result.error)
