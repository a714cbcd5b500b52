from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localtune.progress_reporter.curve import Curve


def curve(values: list[float]) -> Curve:
    made = Curve()
    for value in values:
        made.add(value)
    return made


def test_a_curve_goes_from_the_lowest_to_the_highest_value() -> None:
    assert curve([0, 1, 2, 3, 4, 5, 6, 7]).text(8) == "▁▂▃▄▅▆▇█"
    assert curve([2, 1]).text(8) == "█▁"


def test_one_value_has_no_course_and_equal_ones_are_a_flat_line() -> None:
    assert curve([1]).text(8) == ""
    assert curve([1, 1, 1]).text(8) == "▄▄▄"


def test_a_long_curve_keeps_its_shape_and_its_latest_value() -> None:
    text = curve([1 / (n + 1) for n in range(10_000)] + [1.0]).text(8)
    assert len(text) == 8
    assert text[1:-1] == "▁" * 6
    assert text[-1] == "█"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=200), st.integers(1, 20))
def test_any_finite_values_make_a_curve_that_fits(values: list[float], width: int) -> None:
    assert len(curve(values).text(width)) <= width
