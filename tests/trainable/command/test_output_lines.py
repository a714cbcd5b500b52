"""Lines of output in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from localtune.trainable.command.output_lines import MAX_LINE_BYTES, LineSplitter, Tail


@given(st.lists(st.binary(max_size=12)))
def test_lines_do_not_depend_on_the_pieces_they_arrive_in(pieces: list[bytes]) -> None:
    whole = b"".join(pieces).replace(b"\r", b"\n")
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    *expected, rest = whole.split(b"\n")
    assert lines == expected
    assert list(splitter.finish()) == ([rest] if rest else [])


def test_a_line_that_is_too_long_is_passed_over() -> None:
    splitter = LineSplitter()
    found = list(splitter.feed(b"first\n"))
    for _ in range(40):
        found += splitter.feed(b"x" * (MAX_LINE_BYTES // 8))
        assert len(splitter._rest) <= MAX_LINE_BYTES
    found += splitter.feed(b"end\nlast\n")
    assert found == [b"first", b"last"]
    assert splitter.too_long == 1


def test_the_tail_keeps_the_last_lines_cut() -> None:
    tail = Tail()
    for number in range(100):
        tail.feed(b"line %d\nx" % number)
        tail.feed(b"y" * 10_000 + b"\n")
    lines = tail.text.splitlines()
    assert len(lines) == 20
    assert lines[-2] == "line 99"
    assert len(lines[-1]) == 400
    tail.feed(b"\xff no end")
    assert tail.text.endswith("\n\ufffd no end")
