"""Directories of executors: locked while their maker lives, removed when it does not."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localtune.error import StorageError
from localtune.utils import private_dir
from localtune.utils.private_dir import PREFIX, PrivateDir, is_owned, sweep
from localtune.utils.private_tree import remove_private

MAKE_ONE = """
import os, signal, sys
from localtune.utils.private_dir import PrivateDir
private = PrivateDir()
open(os.path.join(private.path, "settings"), "w").close()
print(private.path, flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def make_old(path: Path) -> None:
    path.mkdir()
    os.utime(path, (0, 0))


def test_only_its_user_can_read_it() -> None:
    private = PrivateDir()
    assert stat.S_IMODE(os.stat(private.path).st_mode) == 0o700
    private.remove()
    assert not os.path.exists(private.path) and not is_owned(private.path)


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(
    directory: Path,
) -> None:
    command = [sys.executable, "-c", MAKE_ONE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        path = maker.stdout.readline().decode().strip()
        sweep()
        assert os.path.exists(os.path.join(path, "settings"))
        assert is_owned(path)
        maker.communicate(b"\n")

    assert os.path.exists(path) and not is_owned(path)
    PrivateDir().remove()
    assert os.listdir(directory) == []


def test_several_live_side_by_side_in_one_process() -> None:
    first, second = PrivateDir(), PrivateDir()
    assert first.path != second.path
    assert os.path.isdir(first.path)
    first.remove()
    assert os.path.isdir(second.path)
    second.remove()


def test_only_directories_of_that_name_are_swept(directory: Path) -> None:
    (directory / "localtune-other").mkdir()
    (directory / f"{PREFIX}file").touch()
    target = directory / "target"
    target.mkdir()
    (directory / f"{PREFIX}link").symlink_to(target)
    make_old(directory / f"{PREFIX}old")

    sweep()

    names = {"localtune-other", f"{PREFIX}file", "target", f"{PREFIX}link"}
    assert set(os.listdir(directory)) == names


STALL_WHILE_MAKING = """
import sys
from localtune.utils import private_dir
lock_of = private_dir._lock_of
def lock_late(path):
    print(path, flush=True)
    sys.stdin.readline()
    return lock_of(path)
private_dir._lock_of = lock_late
private_dir.sweep = lambda: None
private = private_dir.PrivateDir()
open(f"{private.path}/settings", "x").close()
print(private.path, flush=True)
sys.stdin.readline()
private.remove()
"""


def test_a_directory_that_is_being_made_is_left_alone() -> None:
    command = [sys.executable, "-c", STALL_WHILE_MAKING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as maker:
        assert maker.stdin is not None and maker.stdout is not None
        path = maker.stdout.readline().strip()
        sweep()
        print(file=maker.stdin, flush=True)
        assert maker.stdout.readline().strip() == path
        sweep()
        assert os.path.exists(os.path.join(path, "settings"))
        maker.communicate("\n")
        assert maker.returncode == 0
    assert not os.path.exists(path)


def test_a_directory_whose_maker_died_before_its_lock_goes_when_it_is_old(directory: Path) -> None:
    (directory / f"{PREFIX}young").mkdir()
    make_old(directory / f"{PREFIX}old")
    sweep()
    assert os.listdir(directory) == [f"{PREFIX}young"]


MAKE_MANY = """
from localtune.utils.private_dir import PrivateDir
for _ in range(50):
    PrivateDir().remove()
"""


def test_many_that_are_made_at_the_same_time_leave_each_other_alone(directory: Path) -> None:
    makers = [subprocess.Popen([sys.executable, "-c", MAKE_MANY]) for _ in range(4)]
    assert [maker.wait() for maker in makers] == [0] * 4
    assert os.listdir(directory) == []


def test_a_file_system_without_locks_will_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    private = PrivateDir()
    sweep()
    assert os.path.isdir(private.path)
    private.remove()
    assert os.listdir(directory) == []


def test_without_a_directory_for_temporary_files_the_error_says_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(directory / "gone"))
    with pytest.raises(StorageError, match=r"No such file or directory.*TMPDIR"):
        PrivateDir()


def test_a_file_without_room_is_an_error_that_leaves_nothing(directory: Path) -> None:
    made = PrivateDir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(StorageError, match=r"File too large.*TMPDIR"):
            made.write("program", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(directory.iterdir()) == []


def test_the_directory_elsewhere_goes_with_the_first(directory: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    private = PrivateDir()
    other = private.elsewhere(str(place))
    other.write("data", b"x")
    assert Path(other.path).parent == place
    assert stat.S_IMODE(os.stat(other.path).st_mode) == 0o700

    sweep()
    assert is_owned(private.path) and is_owned(other.path)

    remove_private(private.path)  # as the guard does
    assert os.listdir(place) == []
    private.remove()


def test_the_directory_elsewhere_goes_when_both_processes_were_killed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    code = f"""
import os, signal
from localtune.utils.private_dir import PrivateDir
PrivateDir().elsewhere({str(place)!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(os.listdir(place)) == 1
    monkeypatch.setattr(private_dir, "MEMORY_ROOT", str(place))
    sweep()
    assert os.listdir(place) == [] and os.listdir(directory) == ["place"]
