from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.progress_reporter.line import line_width, plain
from localtune.progress_reporter.table import Column, table_lines


def column(title: str, *cells: str, **options: object) -> Column:
    return Column(title, [(cell, "") for cell in cells], **options)  # type: ignore[arg-type]


def text(columns: list[Column], **options: int) -> list[str]:
    return [plain(line) for line in table_lines(columns, **options)]


def test_columns_are_as_wide_as_their_longest_text() -> None:
    columns = [column("name", "a", "bcdefg"), column("loss", "0.5", "0.25", is_number=True)]

    assert text(columns) == [
        "name    loss",
        "──────  ────",
        "a        0.5",
        "bcdefg  0.25",
    ]


def test_no_column_is_wider_than_the_limit() -> None:
    columns = [column("x", "abcdefghijkl", keep="ends"), column("y", "mnopqrstuvwx")]

    assert text(columns, max_column_width=7)[2] == "abc…jkl  mnopqr…"


def test_a_column_that_must_be_whole_is_not_cut() -> None:
    assert (
        text([column("path", "/a/b/c/d/e", is_whole=True)], max_column_width=4)[2] == "/a/b/c/d/e"
    )


def test_headings_are_cut_before_cells() -> None:
    columns = [column("id", "trial_1"), column("optimizer/weight_decay", "0.125", rank=1)]

    assert text(columns, width=20) == [
        "id       …ight_decay",
        "───────  ───────────",
        "trial_1  0.125",
    ]


def test_the_least_important_columns_are_left_out_with_an_ellipsis() -> None:
    columns = [
        column("id", "trial_1"),
        column("time", "12345678", rank=9),
        column("loss", "0.123456", rank=1, is_number=True),
        column("lr", "0.1", rank=2),
    ]

    assert text(columns, width=27) == [
        "id           loss  lr   …",
        "───────  ────────  ───",
        "trial_1  0.123456  0.1",
    ]


def test_a_number_is_never_cut_while_its_column_can_be_left_out() -> None:
    columns = [column("id", "trial_1"), column("n", "123456789012", rank=1, is_number=True)]

    assert text(columns, width=20) == ["id       …", "───────", "trial_1"]


def test_the_last_column_is_cut_to_fit() -> None:
    assert text([column("id", "trial_number_1", keep="ends")], width=7) == [
        "id",
        "───────",
        "tri…r_1",
    ]


def test_a_table_without_rows_has_its_heading() -> None:
    assert text([column("id"), column("loss")]) == ["id  loss", "──  ────"]


def test_styles_stay_with_the_text() -> None:
    line = table_lines([Column("x", [("best", "bold green")])])[2]

    assert line == [("best", "bold green")]


@given(
    st.lists(
        st.tuples(
            st.text("abc/模", min_size=1, max_size=30),
            st.text("0123.模", max_size=40),
            st.integers(0, 5),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(20, 300),
)
def test_a_table_is_never_wider_than_the_terminal(
    drawn: list[tuple[str, str, int, bool]], width: int
) -> None:
    columns = [
        column(title, cell, rank=rank, is_number=is_number)
        for title, cell, rank, is_number in drawn
    ]

    assert max(map(line_width, table_lines(columns, width=width))) <= width


@pytest.mark.parametrize("width", [1, 2, 5])
def test_even_a_terminal_without_room_gets_a_table(width: int) -> None:
    lines = table_lines([column("id", "trial_1"), column("x", "1", rank=1)], width=width)

    assert max(map(line_width, lines)) <= width
