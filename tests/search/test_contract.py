"""Every searcher keeps the contract; most have a class for it in their own test file."""

from __future__ import annotations

from pathlib import Path

from localtune.search.base import Searcher
from localtune.testing.searcher_contract import SearcherContract
from localtune.utils.found_classes import FoundClasses
from tests.contracts import default_suites, has_suite, undeclared

HERE = Path(__file__).parent
# They take another searcher, so a name alone does not make them.
WRAPPERS = {"ConcurrencyLimiter": "concurrency_limiter", "Repeater": "repeater"}

globals().update(
    default_suites(
        FoundClasses("localtune.search", Searcher), HERE, SearcherContract, "make_searcher"
    )
)


def test_each_searcher_is_found_by_name() -> None:
    assert undeclared("localtune.search", Searcher) == set(WRAPPERS)
    assert all(has_suite(HERE / f"test_{each}.py", SearcherContract) for each in WRAPPERS.values())
