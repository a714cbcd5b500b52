from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from localtune.error import StorageError
from localtune.utils import file_systems, files
from localtune.utils.files import (
    commit_directory,
    create_small_file,
    fsync_path,
    make_staging_directory,
    no_link,
    remove_tree,
    write_file,
)


def test_a_committed_directory_has_its_final_name_and_content(tmp_path: Path) -> None:
    final = tmp_path / "final"
    staging = make_staging_directory(str(final))
    Path(staging, "file").write_text("x")
    assert not final.exists()
    commit_directory(staging, str(final))
    assert os.listdir(tmp_path) == ["final"]
    assert (final / "file").read_text() == "x"


def test_a_staging_directory_lies_beside_and_starts_empty(tmp_path: Path) -> None:
    first = make_staging_directory(str(tmp_path / "final"))
    assert os.path.dirname(first) == str(tmp_path)
    Path(first, "left").touch()
    second = make_staging_directory(str(tmp_path / "final"))
    assert os.listdir(second) == []


def test_a_staging_directory_needs_its_parent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_staging_directory(str(tmp_path / "missing" / "final"))


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "old").touch()


@pytest.mark.parametrize("comes_late", [False, True])
@pytest.mark.parametrize(
    "make",
    [_directory, Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")],
    ids=["directory", "empty directory", "file", "link"],
)
def test_what_stands_in_the_place_stays(
    tmp_path: Path,
    make: Callable[[Path], None],
    comes_late: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    final = tmp_path / "final"
    staging = make_staging_directory(str(final))
    Path(staging, "new").touch()
    make(final)
    before = _seen(final)
    if comes_late and make is not Path.mkdir:
        # As if it had come after the look; an empty directory has nothing to lose then.
        monkeypatch.setattr(os.path, "lexists", _answers(False, True))
    with pytest.raises(FileExistsError, match="final"):
        commit_directory(staging, str(final))
    assert _seen(final) == before
    assert os.listdir(staging) == ["new"]


def _seen(path: Path) -> tuple[object, ...]:
    # Without the time of the latest access, which this changes.
    status = os.lstat(path)
    return status.st_ino, status.st_mode, status.st_mtime_ns, sorted(path.glob("*"))


def _answers(*values: bool) -> Callable[[object], bool]:
    left = list(values)
    return lambda _: left.pop(0)


def test_everything_is_synced_before_the_rename_and_the_parent_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "final"
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def recording_fsync(descriptor: int) -> None:
        events.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path))
        fsync(descriptor)

    def recording_rename(source: str, target: str) -> None:
        events.append("rename")
        rename(source, target)

    staging = make_staging_directory(str(final))
    Path(staging, "sub").mkdir()
    Path(staging, "sub", "file").touch()
    Path(staging, "sub", "link").symlink_to("/does/not/exist")
    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "rename", recording_rename)
    commit_directory(staging, str(final))
    name = os.path.basename(staging)
    assert events == [f"{name}/sub/file", f"{name}/sub", name, "rename", "."]


@pytest.mark.parametrize("local_types", [file_systems.LOCAL_TYPES, frozenset()])
def test_many_files_are_synced_with_their_file_system_or_else_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_types: frozenset[int]
) -> None:
    monkeypatch.setattr(file_systems, "LOCAL_TYPES", local_types)
    synced: list[str] = []
    monkeypatch.setattr(files, "fsync_path", synced.append)
    staging = make_staging_directory(str(tmp_path / "final"))
    Path(staging, "sub").mkdir()
    for number in range(files.MANY_FILES):
        Path(staging, "sub", str(number)).touch()
    commit_directory(staging, str(tmp_path / "final"))

    whole = not local_types or not file_systems.sync_file_system(str(tmp_path))
    below = [] if not whole else files.MANY_FILES * [f"{staging}/sub"] + [staging, str(tmp_path)]
    assert [os.path.dirname(path) for path in synced] == [*below, str(tmp_path.parent)]


def test_an_error_of_the_file_system_keeps_the_directory_from_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(files, "MANY_FILES", 1)
    monkeypatch.setattr(files, "sync_file_system", fail)
    staging = make_staging_directory(str(tmp_path / "final"))
    with pytest.raises(OSError, match="Input/output error"):
        commit_directory(staging, str(tmp_path / "final"))
    assert not (tmp_path / "final").exists()


def test_without_sync_nothing_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(files, "fsync_path", refuse)
    staging = make_staging_directory(str(tmp_path / "final"))
    Path(staging, "file").touch()
    commit_directory(staging, str(tmp_path / "final"), sync=False)
    write_file(str(tmp_path / "other"), b"x", sync=False)
    assert sorted(os.listdir(tmp_path)) == ["final", "other"]


def test_relative_paths_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commit_directory(make_staging_directory("final"), "final")
    write_file("file", b"x")
    assert sorted(os.listdir(tmp_path)) == ["file", "final"]


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_written_and_replaced(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "file"
    write_file(str(path), b"first", sync=sync)
    write_file(str(path), b"second", sync=sync)
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failing_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(str(path), b"old")

    def refuse(source: str, target: str) -> None:
        raise OSError("no rename")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no rename"):
        write_file(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_into_a_missing_directory_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(str(tmp_path / "missing" / "file"), b"x")


def test_removing_needs_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "full" / "sub").mkdir(parents=True)
    remove_tree(str(tmp_path / "full"))
    remove_tree(str(tmp_path / "full"))
    assert os.listdir(tmp_path) == []


def test_syncing_what_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fsync_path(str(tmp_path / "missing"))


@pytest.mark.parametrize("has_flag", [True, False])
def test_links_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_flag: bool
) -> None:
    if not has_flag:
        monkeypatch.delattr(os, "O_NOFOLLOW")
    target = tmp_path / "target"
    target.write_text("content")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    with open(target, opener=no_link) as file:
        assert file.read() == "content"
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for name, flags in (("link", os.O_RDONLY), ("link", write), ("dangling", write)):
        with pytest.raises(StorageError, match="is a symbolic link"):
            no_link(str(tmp_path / name), flags)
    assert target.read_text() == "content"
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError):
        no_link(str(tmp_path / "missing"), os.O_RDONLY)


def test_a_small_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "file"

    assert create_small_file(str(path), b"first")
    assert not create_small_file(str(path), b"second")
    assert not create_small_file(str(tmp_path / "large"), b"x" * 10_000)

    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_a_small_file_that_cannot_be_written_is_absent(tmp_path: Path) -> None:
    def fail(descriptor: int, content: bytes) -> int:
        return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(OSError, match="No space"):
            create_small_file(str(tmp_path / "file"), b"content")

    assert not os.listdir(tmp_path)
