"""Directories of executors: locked while their maker lives, removed when it does not."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import filelock
import pytest

from localtune.execution import private_dir
from localtune.execution.private_dir import PREFIX, PrivateDir, sweep

MAKE_ONE = """
import os, signal, sys
from localtune.execution.private_dir import PrivateDir
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


def test_only_its_user_can_read_it() -> None:
    private = PrivateDir()
    assert stat.S_IMODE(os.stat(private.path).st_mode) == 0o700
    private.remove()
    assert not os.path.exists(private.path)


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(
    directory: Path,
) -> None:
    command = [sys.executable, "-c", MAKE_ONE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        path = maker.stdout.readline().decode().strip()
        sweep()
        assert os.path.exists(os.path.join(path, "settings"))
        maker.communicate(b"\n")

    assert os.path.exists(path)
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
    (directory / f"{PREFIX}old").mkdir()

    sweep()

    names = {"localtune-other", f"{PREFIX}file", "target", f"{PREFIX}link"}
    assert set(os.listdir(directory)) == names


@pytest.mark.parametrize("made_again", [False, True])
def test_a_directory_that_is_swept_before_it_is_locked_is_made_again(
    made_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []

    def lock_of(path: str) -> Any:
        if not swept:
            # Another process comes between mkdtemp and the lock.
            swept.append(path)
            shutil.rmtree(path)
            if made_again:
                os.mkdir(path)
        return filelock.FileLock(os.path.join(path, ".lock"), thread_local=False)

    monkeypatch.setattr(private_dir, "_lock_of", lock_of)
    private = PrivateDir()
    assert private.path != swept[0]
    assert os.path.isdir(private.path)
    private.remove()
