from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.stopper.spread import standard_deviation


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_it_is_the_deviation_of_a_whole_population(values: list[float]) -> None:
    assert standard_deviation(values) == pytest.approx(np.std(values), abs=1e-6)


@pytest.mark.parametrize("values", [[1, math.nan], [math.inf, math.inf], [math.inf, -math.inf]])
def test_values_that_are_not_finite_make_the_deviation_nan(values: list[float]) -> None:
    assert math.isnan(standard_deviation(values))


def test_huge_values_are_no_error() -> None:
    assert standard_deviation([1e200, -1e200]) == math.inf
