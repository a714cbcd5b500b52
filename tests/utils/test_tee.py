from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from localtune.utils.tee import Tee


class Flushed(io.StringIO):
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_both_streams_get_all_text() -> None:
    first, second = Flushed(), Flushed()
    tee = Tee(first, second)

    assert tee.write("one\n") == 4
    tee.writelines(["two\n", "three\n"])
    tee.flush()

    assert first.getvalue() == second.getvalue() == "one\ntwo\nthree\n"
    assert first.flushes == second.flushes == 1


def test_all_else_is_asked_of_the_first_stream(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w", encoding="utf-8") as file:
        tee = Tee(file, io.StringIO())
        assert (tee.name, tee.encoding, tee.fileno()) == (file.name, "utf-8", file.fileno())
    with pytest.raises(AttributeError):
        Tee(io.StringIO(), io.StringIO()).no_such  # noqa: B018


def test_a_tee_can_be_pickled() -> None:
    copied = pickle.loads(pickle.dumps(Tee("a stream", "another")))
    assert (copied.stream1, copied.stream2) == ("a stream", "another")
