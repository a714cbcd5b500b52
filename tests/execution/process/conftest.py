"""Each test of how workers start begins without processes of an earlier run."""

from __future__ import annotations

import pytest

from tests.leaks import end_what_is_kept


@pytest.fixture(autouse=True)
def _nothing_is_kept_by_the_test_before() -> None:
    end_what_is_kept()
