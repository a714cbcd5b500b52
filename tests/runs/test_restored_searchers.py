"""A searcher goes on from a file, or from an experiment, in another run: with its space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.search import ConcurrencyLimiter, Repeater, Searcher
from localtune.search.bayesopt import BayesOptSearch
from localtune.search.bohb import TuneBOHB
from localtune.search.hyperopt import HyperOptSearch
from localtune.search.nevergrad import NevergradSearch
from localtune.search.optuna import OptunaSearch
from localtune.search.zoopt import ZOOptSearch
from tests.small_runs import fit

SPACE = {"x": tune.uniform(3, 4)}
GOAL: dict[str, Any] = {"metric": "loss", "mode": "min"}
CLASSES = [
    OptunaSearch,
    HyperOptSearch,
    BayesOptSearch,
    NevergradSearch,
    ZOOptSearch,
    TuneBOHB,
]


def report_x(config: dict[str, Any]) -> None:
    tune.report({"loss": config["x"]})


def plain(searcher: Searcher) -> Searcher:
    return searcher


def limited(searcher: Searcher) -> Searcher:
    return ConcurrencyLimiter(searcher, 4)


def repeated(searcher: Searcher) -> Searcher:
    return Repeater(searcher, 1)


@pytest.mark.parametrize("wrap", [plain, limited, repeated])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_restored_searcher_has_its_space(
    tmp_path: Path, cls: Any, wrap: Callable[[Searcher], Searcher]
) -> None:
    first = wrap(cls(**GOAL))
    first.set_search_properties("loss", "min", SPACE)
    assert isinstance(first.suggest("1"), dict)
    first.on_trial_complete("1", {"loss": 1.0})
    first.save(str(tmp_path / "state"))

    second = wrap(cls())
    second.restore(str(tmp_path / "state"))
    assert second.set_search_properties("loss", "min", SPACE)
    suggested = second.suggest("2")

    assert isinstance(suggested, dict)
    assert 3 <= suggested["x"] <= 4


def test_a_restored_searcher_refuses_another_space(tmp_path: Path) -> None:
    first = HyperOptSearch(SPACE, **GOAL)
    first.save(str(tmp_path / "state"))
    second = HyperOptSearch()
    second.restore(str(tmp_path / "state"))

    with pytest.raises(ValueError, match="suggests no values for these variables of param_space"):
        fit(report_x, tmp_path, {"x": tune.uniform(5, 6)}, search_alg=second, **GOAL)


@pytest.mark.parametrize("wraps", [(plain, plain), (limited, plain), (plain, limited)])
def test_a_searcher_goes_on_from_an_experiment(
    tmp_path: Path, wraps: tuple[Callable[[Searcher], Searcher], Callable[[Searcher], Searcher]]
) -> None:
    first, second = (wrap(OptunaSearch(seed=1)) for wrap in wraps)
    grid = fit(report_x, tmp_path, SPACE, search_alg=first, num_samples=3, **GOAL)

    second.restore_from_dir(f"file://{grid.experiment_path}")
    search: Any = getattr(second, "searcher", second)
    known = [trial.value for trial in search._get_study().get_trials()]

    assert sorted(known) == sorted(result.metrics["loss"] for result in grid)
    again = fit(report_x, tmp_path, SPACE, search_alg=second, num_samples=2, name="again", **GOAL)
    assert all(3 <= result.config["x"] <= 4 for result in again)


def test_an_experiment_without_a_searcher_is_refused(tmp_path: Path) -> None:
    grid = fit(report_x, tmp_path, {"x": 3})

    with pytest.raises(ValueError, match="has no saved state of a Searcher"):
        OptunaSearch().restore_from_dir(grid.experiment_path)


def test_a_directory_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither experiment.db nor searcher-state-"):
        OptunaSearch().restore_from_dir(str(tmp_path))
