"""Optuna's Gaussian process, whose sampler needs PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest

import localtune as tune
from localtune.search.base import Searcher
from localtune.search.optuna import OptunaSearch
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow


def sampler() -> Any:
    with warnings.catch_warnings():
        # Optuna calls it experimental.
        warnings.simplefilter("ignore")
        return optuna.samplers.GPSampler(seed=1, n_startup_trials=6)


class TestGP(SearcherContract):
    takes_rewards = True
    takes_seed = False
    learns = False  # 80 suggestions take long: see test_the_model_finds_better_values
    is_conditional = True
    concurrent = 2

    def make_searcher(self, **arguments: Any) -> Searcher:
        return OptunaSearch(sampler=sampler(), **arguments)


def test_the_model_finds_better_values() -> None:
    space = {"x": tune.uniform(-1, 1)}
    search = OptunaSearch(space, metric="loss", mode="min", sampler=sampler())
    configs: list[Any] = []
    for number in range(12):
        configs.append(search.suggest(str(number)))
        search.on_trial_complete(str(number), {"loss": (configs[-1]["x"] - 0.5) ** 2})

    assert abs(configs[-1]["x"] - 0.5) < 0.1


def test_a_run_with_processes() -> None:
    run_tuner(OptunaSearch(sampler=sampler()), {"x": tune.uniform(0, 1)}, num_samples=8)
