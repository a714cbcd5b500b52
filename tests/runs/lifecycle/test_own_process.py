"""The process that starts a run, and what else it has started, are as they were before."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from tests.runs.lifecycle.programs import START_METHODS, is_gone, wait_until

_PR_GET_CHILD_SUBREAPER = 37

# Forks twice, with a session of its own, as a daemon does.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    open(sys.argv[1], "w").write(str(pid))
os._exit(0)
"""


def is_subreaper() -> bool:
    value = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(value), 0, 0, 0) == 0
    return bool(value.value)


class StartsProcesses(tune.Callback):
    """A user's own processes: a child, one that has ended, and a daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.child: Any = None
        self.ended: Any = None
        self.daemon = 0
        self.was_subreaper = True

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        if self.child is None:
            self.child = subprocess.Popen(["sleep", "600"])
            self.ended = subprocess.Popen(["sh", "-c", "exit 7"])
            path = self._folder / "daemon"
            subprocess.run([sys.executable, "-S", "-c", DAEMON, path], check=True)
            wait_until(lambda: path.exists() and path.read_text(), "the daemon lives")
            self.daemon = int(path.read_text())
            self.was_subreaper = is_subreaper()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[StartsProcesses]:
    callback = StartsProcesses(tmp_path)
    yield callback
    if callback.daemon:
        os.kill(callback.daemon, signal.SIGKILL)
    if callback.child is not None:
        callback.child.kill()
        callback.child.wait()


def kills_the_guard(config: dict[str, Any]) -> None:
    """Without its guard, the run looks for what is left by itself."""
    tune.report({"value": 1})
    if config["kill"]:
        above = psutil.Process().parents()
        (guard,) = [each for each in above if each.ppid() == config["run"]]
        guard.kill()
    tune.report({"value": 2})


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("start_method", START_METHODS)
def test_processes_of_the_program_itself_are_neither_ended_nor_waited_for(
    tmp_path: Path, started: StartsProcesses, start_method: str, kill: bool
) -> None:
    tune.Tuner(
        kills_the_guard,
        param_space={"kill": kill and start_method != "portable", "run": os.getpid()},
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0, callbacks=[started]),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    assert started.child.poll() is None
    assert not is_gone(started.daemon)
    # No other code has taken its exit code.
    wait_until(lambda: started.ended.poll() is not None, "the child ends")
    assert started.ended.returncode == 7
    assert not started.was_subreaper
    assert not is_subreaper()
