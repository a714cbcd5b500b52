"""Claims on directories that several processes share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from localtune.utils.claims import CACHE_DIR, claimed, lock_file
from localtune.utils.file_lock import FileLock

HOLD = """
import sys
from localtune.utils.claims import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    sys.stdin.readline()
"""


def test_what_another_process_has_claimed_is_free_when_it_has_died(tmp_path: Path) -> None:
    target = str(tmp_path / "shared")
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, target]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "claimed\n"
        with claimed(target, wait=False) as is_ours:
            assert not is_ours
        with claimed(str(tmp_path / "other"), wait=False) as is_ours:
            assert is_ours
        holder.send_signal(signal.SIGKILL)
    with claimed(target) as is_ours:
        assert is_ours
    assert os.listdir(tmp_path) == [], "the lock lies elsewhere"


def test_threads_of_one_process_wait_for_each_other(tmp_path: Path) -> None:
    target = str(tmp_path / "shared")
    order: list[str] = []

    def second() -> None:
        with claimed(target):
            order.append("second")

    with claimed(target):
        thread = threading.Thread(target=second)
        thread.start()
        with claimed(str(tmp_path / "other")):
            order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_processes_with_temporary_directories_of_their_own_share_claims_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    in_cache = os.path.join(os.path.expanduser(CACHE_DIR), "experiments", "sweep")
    elsewhere = str(tmp_path / "shared")
    locks = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
        locks.append((lock_file(in_cache), lock_file(elsewhere)))
    assert locks[0][0] == locks[1][0]
    assert locks[0][1] != locks[1][1]


def test_where_there_are_no_locks_everything_can_be_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, *, wait: bool) -> None:
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with claimed(str(tmp_path / "shared")) as is_ours:
        assert is_ours
