from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localtune.checkpoint import Checkpoint, TrainingResult, relocated
from localtune.error import UntrustedDirectoryError
from localtune.utils import trust


@pytest.fixture(autouse=True)
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tmp"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with a file, a hidden file and a file further below."""
    path = tmp_path / "source"
    (path / "sub").mkdir(parents=True)
    (path / "weights").write_text("w")
    (path / ".hidden").write_text("h")
    (path / "sub" / "more").write_text("m")
    return path


def content(path: str | Path) -> dict[str, str]:
    root = Path(path)
    files = [file for file in root.rglob("*") if file.is_file()]
    return {str(file.relative_to(root)): file.read_text() for file in files}


CONTENT = {"weights": "w", ".hidden": "h", "sub/more": "m"}


# Construction


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/a/b", "/a/b"),
        (Path("/a/b"), "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file:///a/b%20c", "/a/b c"),
    ],
)
def test_local_paths_are_taken(given: Any, expected: str) -> None:
    checkpoint = Checkpoint(given)
    assert checkpoint.path == expected
    assert checkpoint.filesystem is None


def test_the_home_directory_is_expanded() -> None:
    assert Checkpoint("~/a").path == os.path.expanduser("~/a")


@pytest.mark.parametrize("path", ["relative", "./a", "a/b", "", Path("a")])
def test_a_relative_path_is_refused_with_a_remedy(path: Any) -> None:
    with pytest.raises(ValueError, match=r"path must be absolute.*from_directory"):
        Checkpoint(path)


@pytest.mark.parametrize("path", ["s3://bucket/a", "gs://bucket/a/", "memory://a"])
def test_a_uri_is_kept_and_nothing_is_opened(path: str) -> None:
    checkpoint = Checkpoint(path)
    assert checkpoint.path == path.rstrip("/")
    assert checkpoint.filesystem is None
    assert repr(checkpoint).startswith(f"Checkpoint(filesystem={path.partition(':')[0]}, path=")


def test_what_is_no_file_system_is_refused() -> None:
    with pytest.raises(ValueError, match="filesystem must be a file system object"):
        Checkpoint("/a", filesystem=SimpleNamespace(protocol=("s3", "s3a")))


@pytest.mark.parametrize(
    "filesystem",
    [SimpleNamespace(type_name="local"), SimpleNamespace(protocol=("file", "local"))],
    ids=["as pyarrow's", "as fsspec's"],
)
def test_a_file_system_object_of_the_local_disk_is_taken(filesystem: Any, source: Path) -> None:
    checkpoint = Checkpoint(str(source), filesystem=filesystem)
    assert checkpoint.filesystem is filesystem
    assert content(checkpoint.to_directory()) == CONTENT


def test_from_directory_keeps_the_path_as_it_is() -> None:
    assert Checkpoint.from_directory("relative/a").path == "relative/a"
    assert Checkpoint.from_directory(Path("/a/b")).path == "/a/b"


def test_from_directory_makes_the_class_it_is_called_on() -> None:
    class Mine(Checkpoint):
        pass

    assert type(Mine.from_directory("/a")) is Mine


# Reading and copying


def test_as_directory_yields_the_checkpoint_itself(source: Path) -> None:
    with Checkpoint(source).as_directory() as path:
        assert path == str(source)
    assert content(source) == CONTENT


def test_to_directory_copies_everything(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    assert Checkpoint(source).to_directory(target) == str(target)
    assert content(target) == content(source) == CONTENT


def test_to_directory_expands_the_home_directory(source: Path) -> None:
    target = Checkpoint(source).to_directory("~/of a test")
    assert target == os.path.expanduser("~/of a test")
    assert content(target) == CONTENT


def test_what_the_target_holds_stays(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "extra").write_text("e")
    (target / "weights").write_text("old")
    Checkpoint(source).to_directory(target)
    assert content(target) == {**CONTENT, "extra": "e"}


def test_one_object_has_one_temporary_directory(source: Path, temporary_directory: Path) -> None:
    checkpoint = Checkpoint(source)
    path = checkpoint.to_directory()
    assert os.path.dirname(path) == str(temporary_directory)
    assert os.path.basename(path).startswith("checkpoint_tmp_")
    assert checkpoint.to_directory() == path
    assert pickle.loads(pickle.dumps(checkpoint)).to_directory() == path
    assert Checkpoint(source).to_directory() != path
    assert content(path) == CONTENT


def test_copying_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        Checkpoint(tmp_path / "missing").to_directory(tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_locks_of_another_user_are_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Checkpoint(source).to_directory(source.parent / "copy")  # They are made now.
    monkeypatch.setattr(trust, "_owner_of", lambda status: 12345)
    with pytest.raises(UntrustedDirectoryError, match="it belongs to the user 12345, not to"):
        Checkpoint(source).to_directory()


def test_many_callers_get_a_whole_copy(tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.mkdir()
    for index in range(200):
        (source / str(index)).write_text("x" * 1000)
    expected = content(source)
    checkpoint = Checkpoint(source)
    found: list[Any] = []

    def copy() -> None:
        found.append(content(checkpoint.to_directory()) == expected)

    threads = [threading.Thread(target=copy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_who_comes_later_does_not_touch_a_whole_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    Checkpoint(source).to_directory(target)
    written = (target / "weights").stat().st_ctime_ns
    Checkpoint(source).to_directory(target)
    assert (target / "weights").stat().st_ctime_ns == written
    (target / "weights").write_text("changed")
    Checkpoint(source).to_directory(target)
    assert content(target) == CONTENT


COPYING = """
import os, sys, tempfile
from localtune import checkpoint
from localtune.utils import claims

source, target, tempfile.tempdir, role, outcome = sys.argv[1:]
copy_tree = checkpoint.copy_tree

def tell(word):
    print(word, flush=True)

def slow_copy(source, target):
    tell("copies")
    if role == "first":
        sys.stdin.readline()
        if outcome == "fails":
            os._exit(1)
    copy_tree(source, target)

class TellingLock(claims.FileLock):
    def acquire(self, **options):
        if role == "second":
            tell("waits")
        return super().acquire(**options)

checkpoint.copy_tree = slow_copy
claims.FileLock = TellingLock
checkpoint.Checkpoint(source).to_directory(target)
tell("done")
"""


@pytest.mark.parametrize("outcome", ["succeeds", "fails"])
def test_who_waits_copies_only_if_the_first_one_failed(
    outcome: str, source: Path, tmp_path: Path, temporary_directory: Path
) -> None:
    target = tmp_path / "target"

    def start(role: str) -> subprocess.Popen[str]:
        arguments = [str(source), str(target), str(temporary_directory), role, outcome]
        return subprocess.Popen(
            [sys.executable, "-c", COPYING, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with start("first") as first:
        assert first.stdout
        assert first.stdout.readline() == "copies\n"
        with start("second") as second:
            assert second.stdout
            assert second.stdout.readline() == "waits\n"
            first.communicate("\n")
            said = second.communicate()[0].split()
    assert said == (["done"] if outcome == "succeeds" else ["copies", "done"])
    assert content(target) == CONTENT


# Metadata


def test_metadata(source: Path) -> None:
    checkpoint = Checkpoint(source)
    assert checkpoint.get_metadata() == {}
    checkpoint.set_metadata({"a": 1, "b": [2]})
    assert (source / ".metadata.json").read_text() == '{"a": 1, "b": [2]}'
    checkpoint.update_metadata({"b": 3, "c": None})
    assert Checkpoint(source).get_metadata() == {"a": 1, "b": 3, "c": None}
    checkpoint.set_metadata({})
    assert checkpoint.get_metadata() == {}


def test_metadata_that_cannot_be_stored_leave_the_old(source: Path) -> None:
    checkpoint = Checkpoint(source)
    checkpoint.set_metadata({"a": 1})
    with pytest.raises(TypeError):
        checkpoint.set_metadata({"a": object()})
    assert checkpoint.get_metadata() == {"a": 1}


def test_metadata_travel_with_a_copy(source: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(source)
    checkpoint.set_metadata({"a": 1})
    assert Checkpoint(checkpoint.to_directory()).get_metadata() == {"a": 1}


# As an object


def test_a_checkpoint_is_no_path() -> None:
    with pytest.raises(TypeError, match=r"checkpoint\.path"):
        os.listdir(Checkpoint("/a"))


def test_equality_is_identity() -> None:
    checkpoint = Checkpoint("/a")
    assert checkpoint == checkpoint
    assert checkpoint != Checkpoint("/a")
    assert len({checkpoint, Checkpoint("/a")}) == 2


def test_repr() -> None:
    assert repr(Checkpoint("/a")) == "Checkpoint(filesystem=local, path=/a)"


def test_pickling_keeps_class_and_path() -> None:
    again = pickle.loads(pickle.dumps(Checkpoint("/a")))
    assert (type(again), again.path) == (Checkpoint, "/a")


@pytest.mark.parametrize(
    "name",
    [
        "from_dict",
        "to_dict",
        "from_bytes",
        "to_bytes",
        "get_internal_representation",
        "from_uri",
        "to_uri",
        "uri",
        "get_preprocessor",
        "set_preprocessor",
    ],
)
@pytest.mark.parametrize(
    "owner", [lambda: Checkpoint, lambda: Checkpoint("/a")], ids=["class", "instance"]
)
def test_removed_names_tell_what_to_use(name: str, owner: Callable[[], Any]) -> None:
    with pytest.raises(AttributeError, match=rf"Checkpoint\.{name} is an old form.* Write "):
        getattr(owner(), name)
    assert not hasattr(owner(), name)


def test_a_relocated_checkpoint_keeps_all_but_the_place(source: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint(source)
    checkpoint.label = "mine"  # type: ignore[attr-defined]
    (tmp_path / "other").mkdir()
    moved = relocated(checkpoint, str(tmp_path / "other"))
    assert (moved.path, moved.label) == (str(tmp_path / "other"), "mine")  # type: ignore[attr-defined]
    assert checkpoint.path == str(source)
    assert moved.to_directory() != checkpoint.to_directory()


def test_a_training_result_pickles() -> None:
    result = pickle.loads(pickle.dumps(TrainingResult(Checkpoint("/a"), {"loss": 1})))
    assert (result.checkpoint.path, result.metrics) == ("/a", {"loss": 1})
    assert TrainingResult(None).metrics == {}
