from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localtune.progress_reporter.line import (
    crop,
    join,
    justify,
    line_width,
    painted,
    plain,
)

LINE = [("loss", "bold green"), ("=0.5", "")]


def test_plain_text_has_no_styles() -> None:
    assert plain(LINE) == "loss=0.5"


def test_painted_text_has_escape_codes_where_there_is_a_style() -> None:
    assert painted(LINE) == "\x1b[1;32mloss\x1b[0m=0.5"


def test_a_line_that_fits_is_not_cropped() -> None:
    assert crop(LINE, 8) == LINE


def test_a_cropped_line_ends_in_an_ellipsis() -> None:
    assert [plain(crop(LINE, width)) for width in (7, 5, 4, 1)] == ["loss=0…", "loss…", "los…", "…"]


@given(
    st.lists(st.tuples(st.text("ab模…", max_size=6), st.just("")), max_size=5), st.integers(1, 20)
)
def test_a_cropped_line_is_never_too_wide(line: list[tuple[str, str]], width: int) -> None:
    assert line_width(crop(line, width)) <= width


def test_spread_puts_two_lines_at_both_edges() -> None:
    assert plain(justify([("left", "")], [("right", "")], 12)) == "left   right"


def test_justify_leaves_out_the_right_line_without_room() -> None:
    assert plain(justify([("left", "")], [("right", "")], 10)) == "left"


def test_join_separates() -> None:
    assert plain(join([LINE, LINE, [("x", "")]], " · ")) == "loss=0.5 · loss=0.5 · x"
