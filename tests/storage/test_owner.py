"""The process that works on an experiment is found without a touch of the lock."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from localtune.storage.locks import LOCK_FILE, OWNER_FILE, experiment_locked
from localtune.storage.owner import find_owner


def write_owner(path: Path, **changes: Any) -> None:
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
    (path / OWNER_FILE).write_text(json.dumps({**owner, **changes}))


def test_the_holder_of_the_lock_is_the_owner(tmp_path: Path) -> None:
    with experiment_locked(str(tmp_path)):
        owner = find_owner(str(tmp_path))

    assert owner is not None and (owner.pid, owner.is_here) == (os.getpid(), True)
    assert find_owner(str(tmp_path)) is None


def test_a_name_that_was_left_over_is_no_owner(tmp_path: Path) -> None:
    # This process lives, but does not hold the lock.
    write_owner(tmp_path)
    (tmp_path / LOCK_FILE).touch()

    assert find_owner(str(tmp_path)) is None


def test_a_process_that_has_ended_is_no_owner(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_owner(tmp_path, pid=process.pid)

    assert find_owner(str(tmp_path)) is None


def test_a_process_that_is_younger_than_the_run_is_no_owner(tmp_path: Path) -> None:
    with experiment_locked(str(tmp_path)):
        write_owner(tmp_path, started=1000.0)

        assert find_owner(str(tmp_path)) is None


def test_a_process_of_another_machine_is_taken_at_its_word(tmp_path: Path) -> None:
    write_owner(tmp_path, host="elsewhere", pid=1)

    owner = find_owner(str(tmp_path))

    assert owner is not None and not owner.is_here
    assert str(owner) == "process 1 on elsewhere"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "1"}', '{"pid": -1, "host": "h"}'])
def test_a_torn_file_names_no_owner(text: str, tmp_path: Path) -> None:
    (tmp_path / OWNER_FILE).write_text(text)

    assert find_owner(str(tmp_path)) is None
