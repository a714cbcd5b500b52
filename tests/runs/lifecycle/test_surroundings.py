"""Trials work in all surroundings that a run may inherit from its starter."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runs.lifecycle.programs import DEADLINE_S, START_METHODS, environment

# What the interpreter itself ignores; with it the portable workers ignore the terminal's Ctrl-C.
IGNORED_BY_PYTHON = ["SIGPIPE", "SIGXFSZ"]


@contextlib.contextmanager
def signals(folder: Path) -> Iterator[dict[str, Any]]:
    """No signal reaches the run, and it is not told how its children end."""

    def shut_out() -> None:
        for number in {*signal.valid_signals()} - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    yield {"preexec_fn": shut_out}


def close_all(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


def closed(*fds: int) -> Callable[[Path], contextlib.AbstractContextManager[dict[str, Any]]]:
    @contextlib.contextmanager
    def surroundings(folder: Path) -> Iterator[dict[str, Any]]:
        yield {"preexec_fn": lambda: close_all(fds)}

    return surroundings


@contextlib.contextmanager
def readers_gone(folder: Path) -> Iterator[dict[str, Any]]:
    """Closes the reading ends of the run's output."""
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    yield {"stdout": write_fd, "stderr": write_fd}
    os.close(write_fd)


@contextlib.contextmanager
def terminal_gone(folder: Path) -> Iterator[dict[str, Any]]:
    """The terminal that the run prints to is closed."""
    ours, theirs = os.openpty()
    os.close(ours)
    yield {"stdout": theirs, "stderr": theirs}
    os.close(theirs)


@contextlib.contextmanager
def disk_full(folder: Path) -> Iterator[dict[str, Any]]:
    with open("/dev/full", "w") as full:
        yield {"stdout": full, "stderr": full}


@contextlib.contextmanager
def directory_removed(folder: Path) -> Iterator[dict[str, Any]]:
    """Neither a working directory nor a home."""
    (folder / "here").mkdir()

    def remove() -> None:
        os.chdir(folder / "here")
        os.rmdir(folder / "here")

    variables = environment(HOME="/proc/no/such/home")
    yield {"preexec_fn": remove, "cwd": folder, "env": variables}


SURROUNDINGS: dict[str, Any] = {
    "signals ignored and blocked": signals,
    "no standard descriptors": closed(0, 1, 2),
    "output without a reader": readers_gone,
    "terminal gone": terminal_gone,
    "disk full": disk_full,
    "no working directory": directory_removed,
}
SOME_CLOSED = [(0,), (1,), (2,), (0, 2)]


def outcome(folder: Path, start_method: str, options: dict[str, Any]) -> dict[str, Any]:
    with open(folder / "output", "w") as output:
        defaults: dict[str, Any] = {"env": environment(), "stdout": output, "stderr": output}
        arguments = ["-m", "tests.runs.lifecycle.surroundings", start_method, str(folder)]
        done = subprocess.run(
            [sys.executable, *arguments], timeout=DEADLINE_S, check=False, **{**defaults, **options}
        )
    assert (folder / "outcome").exists(), (done.returncode, (folder / "output").read_text())
    found: dict[str, Any] = json.loads((folder / "outcome").read_text())
    return found


def check(found: dict[str, Any], start_method: str) -> None:
    assert found["errors"] == []
    ignored = [*(["SIGINT"] if start_method == "portable" else []), *IGNORED_BY_PYTHON]
    for number, metrics in enumerate(found["metrics"], 1):
        assert metrics == {
            "square": number**2,
            "child": -signal.SIGKILL,
            "blocked": [],
            "ignored": ignored,
        }
    assert found["directories"] == [True] * 3


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_trials_start_from_a_known_state(tmp_path: Path, name: str, start_method: str) -> None:
    with SURROUNDINGS[name](tmp_path) as options:
        check(outcome(tmp_path, start_method, options), start_method)


@pytest.mark.parametrize("fds", SOME_CLOSED)
def test_any_standard_descriptor_may_be_closed(tmp_path: Path, fds: tuple[int, ...]) -> None:
    with closed(*fds)(tmp_path) as options:
        check(outcome(tmp_path, "template", options), "template")
    database = tmp_path / "results" / "sweep" / "experiment.db"
    # The output has not gone into a file that took the descriptor's place.
    assert b"a line of" not in database.read_bytes()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_what_trials_and_their_children_print_comes_out(tmp_path: Path, start_method: str) -> None:
    check(outcome(tmp_path, start_method, {}), start_method)
    lines = (tmp_path / "output").read_text().splitlines()
    for line in ("a line of the trial", "a line of native code", "an error of a child"):
        assert lines.count(line) == 3


NO_DIRECTORY = """
import os, runpy, sys, tempfile
os.chdir(tempfile.mkdtemp())
os.rmdir(os.getcwd())
sys.argv[:] = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tests.runs.lifecycle.surroundings", "template", "here"],
            "storage_path must be absolute",
        ),
        (["localtune", "best", "sweep"], "the working directory has been removed"),
        (["localtune", "run", "train.py:train"], "the working directory has been removed"),
    ],
)
def test_a_path_within_a_removed_directory_is_a_clear_error(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_DIRECTORY, *arguments],
        env=environment(TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("command", [["ls"], ["best", "no_such"], ["--help"]])
def test_the_command_line_works_without_standard_descriptors(
    tmp_path: Path, command: list[str]
) -> None:
    with closed(0, 1, 2)(tmp_path) as options:
        done = subprocess.run(
            [sys.executable, "-m", "localtune", *command],
            env=environment(HOME=str(tmp_path)),
            check=False,
            timeout=DEADLINE_S,
            **options,
        )
    assert done.returncode == {"best": 2}.get(command[0], 0)
