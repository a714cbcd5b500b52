"""With any results of one trial, the other trials end well and the run returns."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import localtune as tune
from localtune.schedulers import ASHAScheduler
from localtune.trial.pickled_object import PickledObject
from tests.odd_values import Hostile, odd_metrics
from tests.small_runs import fit, processes, rows, statuses


class OneIsOdd(tune.Trainable):
    """The first of several trials reports ``odd`` in its second step."""

    odd: dict[Any, Any]

    def step(self) -> dict[str, Any]:
        result = {"loss": 1.0 / (self.iteration + 1), "done": self.iteration >= 2}
        if self.config["number"] == 0 and self.iteration == 1:
            return {**result, **self.odd}
        return result


def fit_with_one(odd: dict[Any, Any], path: Path, **options: Any) -> Any:
    # The class goes by name: a copy of what is odd might not be loaded at all.
    OneIsOdd.odd = odd
    space = {"number": tune.grid_search([0, 1, 2])}
    options.setdefault("scheduler", ASHAScheduler(metric="loss", mode="min", max_t=3))
    return fit(OneIsOdd, path, space, stop={"stop_at": 10}, verbose=2, **options)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30, deadline=None)
@given(odd_metrics())
def test_neighbours_of_an_odd_result_end_well(odd: dict[Any, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        grid = fit_with_one(odd, Path(folder))
        assert statuses(grid)[1:] == ["TERMINATED", "TERMINATED"]
        assert [len(rows(result)) for result in list(grid)[1:]] == [3, 3]
        assert len(grid) == 3
        if grid[0].error is None:
            # A scheduler may have stopped it; each line is JSON that others can read.
            assert rows(grid[0])
        else:
            assert isinstance(grid[0].error, (ValueError, TypeError, tune.error.TuneError))
            assert len(rows(grid[0])) < 3


def test_odd_results_of_real_workers_end_nothing_but_their_trials(tmp_path: Path) -> None:
    reports: dict[str, Any] = {
        "integer keys": lambda: {1: {"f1": 0.5, 2: {3: 4}}},
        "long integer": lambda: {"n": 10**5000},
        "hostile": lambda: {"o": Hostile()},
        "text as iteration": lambda: {"training_iteration": "first"},
        "array as done": lambda: {"done": np.array([True, False])},
        "too many": lambda: {"many": dict.fromkeys(range(3_000_000), 0)},
        "much": lambda: {"many": {str(key): key for key in range(100_000)}},
        "deep": lambda: {"deep": _deep(10_000)},
        "surrogate": lambda: {"\ud800": "\udfff\0"},
        "closed": lambda: {"closed": {1, 2}},
    }

    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": 1.0})
        if config["odd"] is not None:
            tune.report({"loss": 1.0, **reports[config["odd"]]()})
        tune.report({"loss": 0.5})

    space = {"odd": tune.grid_search([*reports, None])}
    grid = fit(train, tmp_path, space, executor=processes(2), metric="loss", mode="min")
    by_name = dict(zip([*reports, None], grid, strict=True))
    failed = {name for name, result in by_name.items() if result.error is not None}
    assert failed == {"long integer", "text as iteration", "array as done", "too many", "deep"}
    assert len(rows(by_name[None])) == 2
    assert rows(by_name["integer keys"])[1]["1"] == {"f1": 0.5, "2": {"3": 4}}
    assert len(rows(by_name["much"])[1]["many"]) == 100_000
    assert rows(by_name["hostile"])[1]["o"] == "<Hostile: its text cannot be made>"


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Keeps(tune.Callback):
    """Keeps the results that it is given."""

    results: list[dict[str, Any]]

    def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
        self.results.append(result)


def test_a_callback_gets_objects_closed_and_the_result_holds_them_open(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"seen": {1, 2}, "place": [Path("a")], "array": np.arange(3)})

    callback = Keeps()
    callback.results = []
    grid = fit(train, tmp_path, callbacks=[callback], executor=processes(1))
    (result,) = callback.results
    assert isinstance(result["seen"], PickledObject)
    assert (str(result["seen"]), result["seen"].load()) == ("{1, 2}", {1, 2})
    assert isinstance(result["array"], np.ndarray)
    assert grid[0].metrics["seen"] == {1, 2}
    assert grid[0].metrics["place"] == [Path("a")]
    (analysed,) = grid._experiment_analysis.results.values()
    assert analysed["seen"] == {1, 2}
    restored: Any = tune.Tuner.restore(str(tmp_path / "run"), train).get_results()
    assert restored[0].metrics["seen"] == {1, 2}
    line = json.loads(Path(grid[0].path, "result.json").read_text())
    assert (line["seen"], line["place"], line["array"]) == ("{1, 2}", ["a"], [0, 1, 2])


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_a_result_that_log_result_spoils_is_checked_as_well(tmp_path: Path, executor: str) -> None:
    class Spoils(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"loss": 1.0}

        def log_result(self, result: dict[str, Any]) -> None:
            result["training_iteration"] = math.nan

    chosen = executor if executor == "inprocess" else processes(1)
    grid = fit(Spoils, tmp_path, num_samples=2, executor=chosen)
    assert [type(error.cause) for error in grid.errors] == [ValueError, ValueError]
    assert "'training_iteration' must be a whole number" in str(grid.errors[0])


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_a_huge_integer_fails_its_trial_at_every_verbosity(tmp_path: Path, verbose: int) -> None:
    def train(config: dict[str, Any]) -> None:
        for _ in range(4):
            tune.report({"loss": 10**400 if config["i"] == 1 else 1.0, "i": config["i"]})

    scheduler = tune.schedulers.ASHAScheduler(max_t=4)
    options: dict[str, Any] = {"metric": "loss", "mode": "min", "scheduler": scheduler}
    space = {"i": tune.grid_search([0, 1, 2]), "huge": 10**400}
    grid = fit(train, tmp_path, space, verbose=verbose, **options)

    assert [result.error is None for result in grid] == [True, False, True]
    assert grid.get_best_result().metrics["training_iteration"] == 4
