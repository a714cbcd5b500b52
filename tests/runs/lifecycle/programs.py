"""Programs that a test starts: real scripts in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[3]
START_METHODS = ("template", "spawn", "portable")
DEADLINE_S = 60.0


def environment(**variables: str) -> dict[str, str]:
    """This process's environment, with the package importable from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run(
    arguments: list[str], cwd: Path, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``python *arguments`` to its end, which must be a good one."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        input=stdin,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def run_for_json(arguments: list[str], cwd: Path, stdin: str | None = None) -> Any:
    """Runs a program and returns what the last line of its output says, in JSON."""
    return json.loads(run(arguments, cwd, stdin).stdout.splitlines()[-1])


@contextlib.contextmanager
def running(arguments: list[str], cwd: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs in a process group of its own; killed in the end if it still does."""
    options.setdefault("env", environment())
    with open(cwd / "output", "wb") as output:
        options.setdefault("stdout", output)
        options.setdefault("stderr", subprocess.STDOUT)
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, start_new_session=True, **options
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Waits until a condition holds; fails if it does not in time."""
    give_up_at = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(0.01)


def read_ids(folder: Path) -> set[int]:
    """Process ids that were written as names of files in a folder."""
    return {int(path.name) for path in folder.iterdir()}


def is_gone(pid: int) -> bool:
    """Returns whether a process has ended; a zombie counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pids: set[int], deadline_s: float) -> None:
    """Waits until processes have ended; kills those that did not, and fails."""
    try:
        wait_until(lambda: all(map(is_gone, pids)), "processes end", deadline_s)
    finally:
        for pid in pids:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)
