"""The metrics file is followed, however it is written."""

from __future__ import annotations

import os
from pathlib import Path

from localtune.trainable.command.metrics_file import MetricsFile


def test_lines_are_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("of an earlier start\n")
    file = MetricsFile(str(path))
    assert not path.exists()
    assert file.read() == ([], 0)
    with path.open("w") as writer:
        writer.write("one\ntw")
        writer.flush()
        lines, written_ns = file.read()
        assert lines == [b"one"]
        assert written_ns == path.stat().st_mtime_ns
        writer.write("o\nthree")
        writer.flush()
        assert file.read()[0] == [b"two"]
    assert file.read(to_end=True)[0] == [b"three"]
    assert file.read(to_end=True)[0] == []


def test_a_file_that_is_written_anew_has_the_lines_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(str(path))
    path.write_text("one\ntwo\n")
    assert file.read()[0] == [b"one", b"two"]
    (tmp_path / "new").write_text("one\ntwo\nthree\n")
    os.replace(tmp_path / "new", path)
    assert file.read()[0] == [b"three"]


def test_something_else_in_its_place_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(str(path))
    os.mkfifo(path)
    assert file.read()[0] == []
    path.unlink()
    path.mkdir()
    assert file.read()[0] == []
