"""Copies of directories."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from localtune.utils import copying
from localtune.utils.copying import copy_tree


def test_copying_keeps_what_the_target_holds(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / ".hidden").write_text("h")
    (source / "skipped").touch()
    target.mkdir()
    (target / "kept").touch()
    copy_tree(str(source), str(target), ignore=lambda directory, names: {"skipped"} & set(names))
    assert sorted(os.listdir(target)) == ["kept", "sub"]
    assert (target / "sub" / ".hidden").read_text() == "h"


def test_copying_needs_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        copy_tree(str(tmp_path / "missing"), str(tmp_path / "target"))
    with pytest.raises(NotADirectoryError):
        copy_tree(str(tmp_path / "file"), str(tmp_path / "target"))


@pytest.mark.parametrize("size", [0, 1, 2048, 100_000, 300_000])
@pytest.mark.parametrize("mode", [0o644, 0o600, 0o777, 0o444])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_copy_has_the_content_the_mode_and_the_times(
    tmp_path: Path, size: int, mode: int, is_replaced: bool
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    file = source / "sub" / "file"
    file.write_bytes(b"x" * size)
    os.utime(file, ns=(1_000_000_001, 2_000_000_003))
    file.chmod(mode)
    (source / "link").symlink_to(file)
    if is_replaced:
        (target / "sub").mkdir(parents=True)
        (target / "sub" / "file").write_bytes(b"longer" * 1000)
    copy_tree(str(source), str(target))

    for copy in (target / "sub" / "file", target / "link"):
        assert copy.read_bytes() == b"x" * size and not copy.is_symlink()
        assert stat.S_IMODE(copy.stat().st_mode) == mode
        assert copy.stat().st_mtime_ns == 2_000_000_003


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    os.mkfifo(tmp_path / "source" / "pipe")
    with pytest.raises(shutil.SpecialFileError, match="is a named pipe"):
        copy_tree(str(tmp_path / "source"), str(tmp_path / "target"))


def test_a_later_write_to_the_source_does_not_reach_the_copy(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"first")
    copy_tree(str(source), str(tmp_path / "target"))
    with open(source / "file", "r+b") as file:
        file.write(b"other")
    assert (tmp_path / "target" / "file").read_bytes() == b"first"


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to(tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match="link"):
        copy_tree(str(tmp_path / "source"), str(tmp_path / "target"))


def test_a_copy_has_the_extended_attributes(tmp_path: Path) -> None:
    if not hasattr(os, "setxattr"):
        pytest.skip("no extended attributes on this platform")
    (tmp_path / "source").mkdir()
    file = tmp_path / "source" / "file"
    file.write_bytes(b"x")
    try:
        os.setxattr(file, "user.origin", b"here")
    except OSError as error:
        pytest.skip(f"no extended attributes in {tmp_path}: {error}")
    copy_tree(str(tmp_path / "source"), str(tmp_path / "target"))
    assert os.getxattr(tmp_path / "target" / "file", "user.origin") == b"here"


def test_a_disk_without_room_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content")
    monkeypatch.setattr(copying, "_HAS_OWN_WAY", True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "listxattr", lambda descriptor: [], raising=False)
        patch.setattr(os, "write", lambda descriptor, content: 1)
        with pytest.raises(OSError, match=r"No space left.*file"):
            copy_tree(str(tmp_path / "source"), str(tmp_path / "target"))


def test_a_file_system_without_extended_attributes_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> list[str]:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(b"content")
    monkeypatch.setattr(copying, "_HAS_OWN_WAY", True)
    monkeypatch.setattr(os, "listxattr", refuse, raising=False)
    copy_tree(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target" / "file").read_bytes() == b"content"
