"""Two runs in one directory: the second is told about the first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localtune.error import ExperimentInUseError
from localtune.storage.locks import experiment_locked, owner_of

HOLDER = """
import sys
from localtune.storage.locks import experiment_locked
with experiment_locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        with pytest.raises(ExperimentInUseError) as caught, experiment_locked(str(tmp_path)):
            pass
        first.communicate("")
    text = str(caught.value)
    assert f"process {first.pid} on {socket.gethostname()}" in text and "started it at" in text


def test_a_killed_holder_is_no_obstacle(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with experiment_locked(str(tmp_path)):
            owner = owner_of(str(tmp_path))
            assert owner is not None and owner["pid"] == os.getpid()
    assert owner_of(str(tmp_path)) is None


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), experiment_locked(str(tmp_path)):
        raise KeyError
    with experiment_locked(str(tmp_path)):
        pass
