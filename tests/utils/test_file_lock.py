"""The lock on a file, by ``flock`` and by filelock."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localtune.utils import file_lock
from localtune.utils.file_lock import FileLock, is_locked

HOLD = """
import os, sys
from localtune.utils.file_lock import FileLock
lock = FileLock(sys.argv[1], with_flock=sys.argv[2] == "True")
print(lock.acquire(wait=False), flush=True)
if os.fork() == 0:
    # It lives on when the holder has died. It has let go of the lock by now.
    print("forked", flush=True)
    sys.stdin.readline()
    os._exit(0)
sys.stdin.readline()
"""
BOTH = pytest.mark.parametrize("with_flock", [True, False])


@BOTH
@pytest.mark.parametrize("other", [True, False])
def test_one_at_a_time_holds_it(tmp_path: Path, with_flock: bool, other: bool) -> None:
    path = str(tmp_path / "lock")
    lock, second = FileLock(path, with_flock=with_flock), FileLock(path, with_flock=other)
    assert lock.acquire(wait=False)
    assert not second.acquire(wait=False)
    second.release()
    assert not second.acquire(wait=False), "who does not hold it cannot release it"
    lock.release()
    assert second.acquire(wait=True)
    second.release()


def test_it_is_free_when_its_holder_has_died_also_if_a_forked_process_lives(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path, "True"], stdin=pipe, stdout=pipe, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        assert holder.stdout.readline() == "forked\n"
        lock = FileLock(path)
        assert not lock.acquire(wait=False)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.acquire(wait=False)
        lock.release()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"):
        FileLock(str(path)).acquire(wait=False)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_without_locks_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(file_lock, "_FLOCK", refuse)
    with pytest.raises(NotImplementedError):
        FileLock(str(tmp_path / "lock")).acquire(wait=False)


def test_a_look_at_a_lock_takes_and_makes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(FileNotFoundError):
        is_locked(path)
    lock = FileLock(path)
    assert lock.acquire(wait=False)
    assert is_locked(path) and is_locked(path)
    lock.release()
    assert not is_locked(path)
    assert lock.acquire(wait=False), "the look holds nothing"
    lock.release()
    os.remove(path)
    os.symlink("other", path)
    with pytest.raises(OSError, match="symbolic links"):
        is_locked(path)


def test_a_look_tells_a_file_system_or_a_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    for flock in (refuse, None):
        monkeypatch.setattr(file_lock, "_FLOCK", flock)
        with pytest.raises(NotImplementedError):
            is_locked(str(tmp_path / "lock"))


def test_a_file_that_must_exist_is_not_made(tmp_path: Path) -> None:
    lock = FileLock(str(tmp_path / "lock"), creates=False)
    with pytest.raises(FileNotFoundError):
        lock.acquire(wait=False)
    assert lock.descriptor is None and not list(tmp_path.iterdir())
    (tmp_path / "lock").touch()
    assert lock.acquire(wait=False) and lock.descriptor is not None
    lock.release()
    assert lock.descriptor is None
