"""The argument ``search_alg`` of a run."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.search.base import Searcher
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.coerce import as_search_algorithm
from localtune.search.concurrency_limiter import ConcurrencyLimiter
from localtune.search.search_generator import SearchGenerator


class Nothing(Searcher):
    def suggest(self, trial_id: str) -> None:
        return None


def test_none_and_a_name_and_an_algorithm_are_search_algorithms() -> None:
    basic = BasicVariantGenerator()

    assert isinstance(as_search_algorithm(None), BasicVariantGenerator)
    assert isinstance(as_search_algorithm("random"), BasicVariantGenerator)
    assert as_search_algorithm(basic, 3) is basic
    assert not basic.learns


def test_a_searcher_gets_a_limiter_only_with_a_limit() -> None:
    unlimited, limited = as_search_algorithm(Nothing()), as_search_algorithm(Nothing(), 3)

    assert isinstance(unlimited, SearchGenerator)
    assert unlimited.learns
    assert isinstance(unlimited.searcher, Nothing)
    assert isinstance(limited, SearchGenerator)
    assert isinstance(limited.searcher, ConcurrencyLimiter)
    assert limited.searcher.max_concurrent == 3


def test_a_limiter_must_have_the_limit_of_the_run() -> None:
    limiter = ConcurrencyLimiter(Nothing(), 3)
    made = as_search_algorithm(limiter, 3)

    assert isinstance(made, SearchGenerator)
    assert made.searcher is limiter
    with pytest.raises(ValueError, match=r"max_concurrent_trials=4 contradicts .*=3"):
        as_search_algorithm(limiter, 4)


@pytest.mark.parametrize("given", [Nothing, 3, {"x": 1}])
def test_anything_else_is_no_search_algorithm(given: Any) -> None:
    with pytest.raises(ValueError, match="search_alg must be"):
        as_search_algorithm(given)
