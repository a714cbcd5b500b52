from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.analysis import ExperimentAnalysis
from localtune.analysis.result import Result
from localtune.analysis.result_grid import ResultGrid
from localtune.trial.status import Status
from tests.records import add_results, make_trial
from tests.small_runs import fit

NAN = float("nan")


def objective(config: dict[str, Any]) -> None:
    for step in range(2):
        tune.report({"loss": config["x"] + step})
    if config["x"] == 1:
        raise KeyError("one")


def grid_of(tmp_path: Path, *losses: float, **options: Any) -> ResultGrid:
    trials = []
    for number, loss in enumerate(losses):
        trial = make_trial(tmp_path, number, config={"x": number})
        add_results(trial, [{"loss": loss}])
        trials.append(trial)
    return ResultGrid(ExperimentAnalysis(str(tmp_path), trials=trials, **options))


def test_a_grid_is_a_sequence_of_results_in_the_order_of_the_trials(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": tune.grid_search([3, 0, 2])})

    assert len(grid) == 3
    assert [result.config for result in grid] == [{"x": 3}, {"x": 0}, {"x": 2}]
    assert isinstance(grid[0], Result)
    assert grid[-1] is grid[2]
    assert grid[1:] == [grid[1], grid[2]]
    with pytest.raises(IndexError):
        grid[3]


def test_a_retried_trial_keeps_its_place(tmp_path: Path) -> None:
    grid = fit(
        objective,
        tmp_path,
        {"x": tune.grid_search([1, 0])},
        max_failures=2,
    )

    assert [result.config for result in grid] == [{"x": 1}, {"x": 0}]


def test_errors_are_counted_and_handed_out(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": tune.grid_search([0, 1, 2])})

    assert (grid.num_errors, grid.num_terminated) == (1, 2)
    (error,) = grid.errors
    assert isinstance(error, KeyError)
    assert [result.error for result in grid] == [None, error, None]


def test_the_directory_is_known_and_the_file_system_is_local(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": 0})

    assert grid.experiment_path == str(tmp_path / "run")
    assert grid.filesystem is None


def test_the_best_result_by_arguments_and_by_the_config_of_the_run(tmp_path: Path) -> None:
    grid = fit(
        objective,
        tmp_path,
        {"x": tune.grid_search([3, 0, 2])},
        metric="loss",
        mode="min",
    )

    assert grid.get_best_result() is grid[1]
    assert grid.get_best_result(mode="max") is grid[0]
    assert grid.get_best_result("training_iteration", "max") is grid[0]
    assert grid.get_best_result(scope="all") is grid[1]


def test_a_single_trial_is_the_best_whatever_is_asked(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, NAN)

    assert grid.get_best_result() is grid[0]
    assert grid.get_best_result("no such metric", "min") is grid[0]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            (),
            "The metric is not known. Pass metric and mode to this method, or set both",
        ),
        (("loss",), "mode is not known"),
        (("loss", "most"), "mode must be 'min' or 'max', but got 'most'."),
        (("loss", "min", "best"), "scope must be one of"),
    ],
)
def test_the_best_of_several_needs_metric_and_mode(
    args: tuple[Any, ...], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        grid_of(tmp_path, 1, 2).get_best_result(*args)


def test_no_best_result_names_what_may_be_meant(tmp_path: Path) -> None:
    text = "Did you mean 'loss'? Reported were: loss, training_iteration."
    with pytest.raises(RuntimeError, match=re.escape(text)):
        grid_of(tmp_path, 1, 2).get_best_result("train/loss", "min")


def test_nan_and_infinity_qualify_only_on_demand(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, NAN, float("inf"))

    with pytest.raises(RuntimeError, match="its value is NaN or infinite in each trial"):
        grid.get_best_result("loss", "min")
    assert grid.get_best_result("loss", "max", filter_nan_and_inf=False) is grid[1]


def test_an_empty_grid_has_no_best_result(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)

    assert (len(grid), list(grid), grid.errors) == (0, [], [])
    with pytest.raises(RuntimeError, match="the experiment has no trials"):
        grid.get_best_result("loss", "min")


def test_the_table_has_a_row_for_each_trial(tmp_path: Path) -> None:
    grid = fit(objective, tmp_path, {"x": tune.grid_search([0, 2])})

    frame = grid.get_dataframe()
    assert list(frame["loss"]) == [1, 3]
    assert list(frame["config/x"]) == [0, 2]
    assert list(frame["logdir"]) == list(frame["trial_id"])
    best = grid.get_dataframe(filter_metric="loss", filter_mode="min")
    assert list(best["loss"]) == [0, 2]


@pytest.mark.parametrize(("metric", "mode"), [(None, "min"), ("loss", "most")])
def test_a_table_by_a_mode_that_makes_no_sense_is_refused(
    metric: str | None, mode: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="mode"):
        grid_of(tmp_path, 1).get_dataframe(metric, mode)


def test_the_repr_shows_twenty_results_and_counts_the_rest(tmp_path: Path) -> None:
    text = repr(grid_of(tmp_path, *range(23)))

    assert text.startswith("ResultGrid<[\nResult(\n")
    assert "'loss': 19}" in text and "'loss': 20}" not in text
    assert text.endswith("... and 3 more\n]>")


def test_a_trial_that_was_only_stopped_has_no_error(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    trial.error, trial.num_failures, trial.status = ValueError("earlier"), 1, Status.TERMINATED

    grid = ResultGrid(ExperimentAnalysis(str(tmp_path), trials=[trial]))

    assert (grid.errors, grid.num_errors, grid.num_terminated) == ([], 0, 1)
