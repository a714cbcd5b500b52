from __future__ import annotations

import copy
import errno
import os
import pickle
from pathlib import Path

import pytest

from localtune.logger.append_file import MAX_OPEN_FILES, AppendFile, OpenFiles
from localtune.utils import open_files


class TestAppendFile:
    def test_is_made_empty(self, tmp_path: Path) -> None:
        file = AppendFile(os.fspath(tmp_path / "log"))

        assert (tmp_path / "log").stat().st_size == 0
        assert (tmp_path / "log").read_bytes() == b""
        file.close()

    def test_text_is_in_the_file_at_once(self, tmp_path: Path) -> None:
        file = AppendFile(os.fspath(tmp_path / "log"))

        file.append("a\n")
        assert (tmp_path / "log").read_bytes() == b"a\n"
        file.append("b\r\n")
        assert (tmp_path / "log").read_bytes() == b"a\nb\r\n"
        file.close()

    def test_earlier_contents_of_the_file_stay(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_bytes(b"a\n")
        file = AppendFile(os.fspath(tmp_path / "log"))

        assert (tmp_path / "log").stat().st_size == 2
        file.append("b\n")
        assert (tmp_path / "log").read_bytes() == b"a\nb\n"
        file.close()

    def test_goes_on_at_the_end_after_the_file_was_cut(self, tmp_path: Path) -> None:
        file = AppendFile(os.fspath(tmp_path / "log"))
        file.append("a\nb\n")

        os.truncate(tmp_path / "log", 2)
        file.append("c\n")

        assert (tmp_path / "log").read_bytes() == b"a\nc\n"
        file.close()

    def test_text_is_utf_8_also_where_it_is_no_valid_unicode(self, tmp_path: Path) -> None:
        file = AppendFile(os.fspath(tmp_path / "log"))

        file.append("é\ud800")

        assert (tmp_path / "log").read_bytes() == "é\\ud800".encode()
        file.close()

    def test_a_directory_that_is_missing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            AppendFile(os.fspath(tmp_path / "missing" / "log"))


class Noted:
    """A file that writes down when it is opened and closed."""

    log: list[str]

    def __init__(self, path: str) -> None:
        self.path = path
        self.log.append(f"open {path}")

    def close(self) -> None:
        self.log.append(f"close {self.path}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(Noted, "log", [], raising=False)
    return Noted.log


class Held:
    """A file that counts among those that are open."""

    def __init__(self, held: list[str], path: str) -> None:
        self._held, self._path = held, path
        held.append(path)

    def close(self) -> None:
        self._held.remove(self._path)


class TestOpenFiles:
    def test_a_file_stays_open(self, log: list[str]) -> None:
        files = OpenFiles(Noted)

        assert files.get("a") is files.get("a")
        assert log == ["open a"]

    def test_the_least_recently_used_file_is_closed(self, log: list[str]) -> None:
        files = OpenFiles(Noted, limit=2)
        for path in "abac":
            files.get(path)

        assert log == ["open a", "open b", "open c", "close b"]

    def test_each_worker_that_may_run_can_have_its_file_open(
        self, log: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soft_limit = 0
        monkeypatch.setattr(open_files, "limits", lambda: (soft_limit, 4096))
        files = OpenFiles(Noted, limit=None)
        for number in range(MAX_OPEN_FILES):
            files.get(str(number))
        soft_limit = open_files.PER_WORKER * (MAX_OPEN_FILES + 2)
        for number in range(MAX_OPEN_FILES + 2):
            files.get(str(number))
        assert not [line for line in log if line.startswith("close")]
        files.get("one more")
        assert log[-1] == "close 0"

    def test_a_closed_file_is_opened_again(self, log: list[str]) -> None:
        files = OpenFiles(Noted, limit=1)
        for path in "aba":
            files.get(path)

        assert log == ["open a", "open b", "close a", "open a", "close b"]

    def test_others_give_way_where_the_process_has_no_descriptor_left(self) -> None:
        held = ["a", "b", "c"]

        def open_file(path: str) -> Held:
            if len(held) >= 3:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return Held(held, path)

        held.clear()
        files = OpenFiles(open_file)
        for path in "abcd":
            files.get(path)
        assert held == ["b", "c", "d"]
        files.close_all()
        held += ["x", "y", "z"]
        with pytest.raises(OSError):
            files.get("a")

    def test_close_closes_one_file(self, log: list[str]) -> None:
        files = OpenFiles(Noted)
        files.get("a")
        files.get("b")

        files.close("a")
        files.close("never opened")

        assert log == ["open a", "open b", "close a"]

    def test_close_all_closes_all(self, log: list[str]) -> None:
        files = OpenFiles(Noted)
        files.get("a")
        files.get("b")

        files.close_all()
        files.close_all()

        assert log[2:] == ["close a", "close b"]

    def test_nothing_stays_open_when_it_is_forgotten(self, log: list[str]) -> None:
        files = OpenFiles(Noted)
        files.get("a")

        del files

        assert log == ["open a", "close a"]

    def test_a_file_that_cannot_be_opened_leaves_the_others_open(self, tmp_path: Path) -> None:
        files = OpenFiles(AppendFile, limit=1)
        first = files.get(os.fspath(tmp_path / "log"))

        with pytest.raises(FileNotFoundError):
            files.get(os.fspath(tmp_path / "missing" / "log"))

        assert files.get(os.fspath(tmp_path / "log")) is first

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_has_no_files_open(self, log: list[str], copied: object) -> None:
        files = OpenFiles(Noted, limit=7)
        files.get("a")

        assert callable(copied)
        other = copied(files)

        assert log == ["open a"]
        other.get("a")
        assert log == ["open a", "open a"]
