"""The contract of searchers, for those that come with localtune and need no model."""

from __future__ import annotations

from typing import Any

from localtune.search.concurrency_limiter import ConcurrencyLimiter
from localtune.search.optuna import OptunaSearch
from localtune.search.repeater import Repeater
from localtune.search.searcher import Searcher
from localtune.testing.searcher_contract import SearcherContract


class _OptunaContract(SearcherContract):
    takes_rewards = True
    is_conditional = True
    learns = False

    def make_searcher(self, **arguments: Any) -> Searcher:
        return OptunaSearch(sampler=self.sampler(), **arguments)

    def sampler(self) -> Any:
        return None


class TestTPE(_OptunaContract):
    learns = True


class TestRandom(_OptunaContract):
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=1)


class TestNSGA2(_OptunaContract):
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        return optuna.samplers.NSGAIISampler(population_size=5, seed=1)


class TestCMAES(_OptunaContract):
    learns = True
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        # Choices, and what depends on them, are drawn at random.
        return optuna.samplers.CmaEsSampler(seed=1, warn_independent_sampling=False)


class TestConcurrencyLimiter(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return ConcurrencyLimiter(OptunaSearch(**arguments), max_concurrent=4)


class TestBatches(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return ConcurrencyLimiter(OptunaSearch(**arguments), max_concurrent=4, batch=True)


class TestRepeater(SearcherContract):
    takes_rewards = True
    is_conditional = True

    def make_searcher(self, **arguments: Any) -> Searcher:
        return Repeater(OptunaSearch(**arguments), repeat=1, set_index=False)
