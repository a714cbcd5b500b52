"""Wrong searchers and schedulers: one clear error before the first trial, or in good order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import MissingMetricError, TuneError
from localtune.schedulers import ASHAScheduler, HyperBandScheduler, PopulationBasedTraining
from localtune.search import BasicVariantGenerator, Searcher
from localtune.search.optuna import OptunaSearch
from tests.small_runs import fit, reporting

SPACE = {"x": tune.uniform(0, 1)}


def pbt(**arguments: Any) -> PopulationBasedTraining:
    return PopulationBasedTraining("training_iteration", perturbation_interval=1, **arguments)


class Listed(Searcher):
    """Suggests what it was given, one after the other; raises an exception in the list."""

    def __init__(self, *suggestions: Any) -> None:
        super().__init__()
        self.suggestions = suggestions
        self.count = 0

    def set_search_properties(self, *args: Any, **spec: Any) -> bool:
        super().set_search_properties(*args, **spec)
        return True

    def suggest(self, trial_id: str) -> Any:
        self.count += 1
        suggestion = self.suggestions[self.count - 1]
        if isinstance(suggestion, Exception):
            raise suggestion
        return suggestion


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scheduler": ASHAScheduler(metric="score")}, "given twice"),
        ({"scheduler": HyperBandScheduler(mode="max")}, "given twice"),
        ({"search_alg": OptunaSearch(metric="other")}, "metric is given twice"),
        ({"search_alg": OptunaSearch(mode="min")}, "mode is given twice"),
        ({"scheduler": ASHAScheduler(), "metric": None, "mode": None}, "needs a metric and a mode"),
        ({"scheduler": pbt(hyperparam_mutations={"X": [1.0]})}, "key 'X', but the search space"),
        (
            {"scheduler": pbt(hyperparam_mutations={"x": [1.0]}), "search_alg": OptunaSearch()},
            "cannot be combined with OptunaSearch",
        ),
        ({"search_alg": BasicVariantGenerator([{"x": 7}])}, "points_to_evaluate.0.: 'x' is 7"),
        ({"search_alg": OptunaSearch(points_to_evaluate=[{"x": 7}])}, "points_to_evaluate.0. has"),
        ({"search_alg": OptunaSearch({"y": tune.uniform(0, 1)})}, "suggests no values for .* x"),
    ],
)
def test_what_cannot_work_is_told_before_the_first_trial(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        fit(reporting, tmp_path, SPACE, **{"metric": "score", "mode": "max", **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("third", "problem"),
    [
        (RuntimeError("no model"), "The searcher raised RuntimeError: no model"),
        ({"x": 7}, "Listed suggested 7 for 'x', which Float.* cannot give"),
        ({"x": 0.5, "xx": 1}, "Listed suggested 1 for 'xx', which is not in the search space"),
        ({}, "must suggest a value for each variable, but did not for x"),
        ([1], "must return a dict, None .not now. or Searcher.FINISHED, but returned .1."),
    ],
)
def test_a_searcher_that_fails_in_the_middle_loses_no_result(
    tmp_path: Path, third: Any, problem: str
) -> None:
    search_alg = Listed({"x": 0.25}, {"x": 0.5}, third, {"x": 0.75})
    with pytest.raises(TuneError, match=problem):
        fit(
            reporting,
            tmp_path,
            SPACE,
            search_alg=search_alg,
            num_samples=4,
            max_concurrent_trials=1,
        )
    kept = tune.Tuner.restore(tmp_path / "run", reporting, executor="inprocess").get_results()
    assert [result.metrics and result.metrics["score"] for result in kept] == [0.25, 0.5]
    assert kept.num_errors == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"scheduler": ASHAScheduler()},
        lambda: {"search_alg": OptunaSearch()},
        dict,
    ],
    ids=["scheduler", "searcher", "neither"],
)
def test_a_metric_that_is_missing_is_named_unless_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], dict[str, Any]]
) -> None:
    options = {"metric": "loss", "mode": "min", "num_samples": 2}
    with pytest.raises(MissingMetricError, match=r"'loss', but trial .* reported 'score', 'step'"):
        fit(reporting, tmp_path / "strict", SPACE, **options, **make())
    monkeypatch.setenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    grid = fit(reporting, tmp_path / "relaxed", SPACE, **options, **make())
    assert len(grid) == 2 and not grid.errors
