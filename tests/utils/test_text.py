from __future__ import annotations

import json
import math
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.utils.text import (
    PrintableOutput,
    count,
    format_bytes,
    format_clock,
    format_duration,
    format_number,
    json_escaped,
    near_miss,
    one_line,
    printable,
    printable_lines,
    shorten,
    text_width,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (123456789, "123456789"),
        (True, "True"),
        (0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (0.0312345678, "0.031235"),
        (1e-7, "1e-07"),
        (123456.7, "1.2346e+05"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_have_five_significant_digits_and_integers_all(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0s"),
        (0.002, "2ms"),
        (0.9994, "999ms"),
        (0.9996, "1.0s"),
        (3.21, "3.2s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (83, "1m 23s"),
        (3599.7, "1h 00m"),
        (7_500, "2h 05m"),
        (86_399.9, "1d 00h"),
        (100_000, "1d 03h"),
        (-83, "-1m 23s"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_durations_show_their_two_largest_units(duration_s: float, text: str) -> None:
    assert format_duration(duration_s) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "00:00:00"), (83.9, "00:01:23"), (86_399, "23:59:59"), (360_000, "100:00:00")],
)
def test_clock_shows_hours_minutes_and_whole_seconds(duration_s: float, text: str) -> None:
    assert format_clock(duration_s) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.9, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (3 * 2**30, "3.0 GiB"),
        (5 * 2**40, "5.0 TiB"),
        (7 * 2**60, "7168.0 PiB"),
    ],
)
def test_sizes_use_the_largest_unit_that_fits(size_bytes: float, text: str) -> None:
    assert format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "trial", "0 trials"),
        (1, "trial", "1 trial"),
        (12000, "trial", "12,000 trials"),
        (2, "retry", "2 retries"),
    ],
)
def test_counts_have_a_plural(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456789, "0.1235"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.25), "0.25"),
        (np.int64(7), "7"),
        (np.array(3.5), "3.5"),
        (None, "None"),
        (True, "True"),
        ("a b", "a b"),
        ("a\nb\x1b[2J", r"a\nb\x1b[2J"),
        (len, "len"),
        (Broken, "Broken"),
        ([1, "x"], "[1, 'x']"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_any_value_fits_on_one_line(value: object, text: str) -> None:
    assert one_line(value) == text


class BrokenName:
    @property
    def __name__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_shown_is_replaced_by_the_name_of_its_class() -> None:
    assert one_line(Broken()).startswith("<Broken")
    assert one_line(BrokenName()) == "<BrokenName>"


def test_without_digits_a_number_is_exact() -> None:
    assert one_line(0.1 + 0.2, None) == "0.30000000000000004"
    assert one_line(np.float64(0.1), None) == "0.1"


def test_long_collections_are_abridged() -> None:
    assert len(one_line(list(range(100_000)))) < 200


@given(st.text())
def test_what_is_printable_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable()


def test_wide_and_combining_characters_count_as_what_they_take() -> None:
    assert [text_width(each) for each in ("abc", "模型", "e\u0301", "…")] == [3, 4, 1, 1]


@pytest.mark.parametrize(
    ("keep", "short"), [("start", "abcd…"), ("end", "…ghij"), ("ends", "ab…ij")]
)
def test_shortening_keeps_the_part_that_was_asked_for(keep: str, short: str) -> None:
    assert shorten("abcdefghij", 5, keep=keep) == short


def test_text_that_fits_is_not_shortened() -> None:
    assert shorten("abcde", 5) == "abcde"


@given(
    st.text(alphabet="ab模型e\u0301x"),
    st.integers(1, 12),
    st.sampled_from(["start", "end", "ends"]),
)
def test_a_shortened_text_is_never_too_wide(text: str, width: int, keep: str) -> None:
    assert text_width(shorten(text, width, keep=keep)) <= width


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("acuracy", ["loss", "accuracy"], "accuracy"),
        ("ACCURACY", ["loss", "accuracy"], "accuracy"),
        ("loss", ["train/loss", "epoch"], "train/loss"),
        ("val/loss", ["loss", "epoch"], "loss"),
        ("f1", ["loss", "accuracy"], None),
        ("loss", [], None),
    ],
)
def test_near_miss_finds_what_was_probably_meant(
    name: str, known: list[str], meant: str | None
) -> None:
    assert near_miss(name, known) == meant


def test_near_miss_takes_any_iterable() -> None:
    assert near_miss("lss", (name for name in ("loss", "lr"))) == "loss"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tcells\n", "two\nlines\tcells\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r20%\r30%\ndone", "30%\ndone"),
        ("10%\r20%\r", "20%"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2Jgone\x1b[A\x1b[?25l", "gone"),
        ("\x1b[31", r"\x1b[31"),
        ("\x1b\x1b[0m[2J", r"\x1b[2J"),
        ("\x1b]8;;http://x\x07link", r"\x1b]8;;http://x\x07link"),
        ("\x9b2J \x85", r"\x9b2J \x85"),
        ("abc\u202efed\u2066", r"abc\u202efed\u2066"),
        ("half \ud800", r"half \ud800"),
        (
            "10\xa0000 na\u00efve \U0001f469\u200d\U0001f4bb",
            "10\xa0000 na\u00efve \U0001f469\u200d\U0001f4bb",
        ),
    ],
)
def test_lines_of_others_keep_their_text_and_steer_nothing(text: str, shown: str) -> None:
    assert printable_lines(text) == shown


def test_colours_of_others_end_with_their_line() -> None:
    assert printable_lines("\x1b[31mred\x1b[2J\nplain", colors=True) == (
        "\x1b[31mred\x1b[0m\nplain"
    )


@given(st.text())
def test_no_lines_of_others_steer_a_terminal(text: str) -> None:
    for shown in (printable_lines(text), json_escaped(json.dumps(text, ensure_ascii=False))):
        left = {unicodedata.category(char) for char in shown if char not in "\n\t\u200c\u200d"}
        assert not left & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text())
def test_json_means_the_same_when_what_steers_is_escaped(text: str) -> None:
    assert json.loads(json_escaped(json.dumps([text], ensure_ascii=False, indent=2))) == [text]


_PIECES = st.sampled_from(
    [b"\x1b", b"[", b"31", b"m", b"2J", b"\xc3", b"\xa9", b"\r", b"\x07", b"ok"]
)


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=16))
def test_a_stream_in_pieces_is_shown_as_in_one(pieces: list[bytes]) -> None:
    whole, parts = PrintableOutput(), PrintableOutput()
    shown = whole.feed(b"".join(pieces), final=True)
    assert b"".join([*map(parts.feed, pieces), parts.feed(b"", final=True)]) == shown
    left = re.sub(r"\x1b\[[0-9;:]*m", "", shown.decode())
    kinds = {unicodedata.category(char) for char in left if char not in "\r\n\t\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
