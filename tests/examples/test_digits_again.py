"""The digits example, started where an earlier run is or is not: for the extra ``heavy``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.examples.test_digits import run_example, runs_in


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage path with one finished run."""
    storage_path = tmp_path_factory.mktemp("digits")
    done = run_example("--storage", storage_path, "--samples", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    return storage_path


def test_a_finished_run_is_followed_by_a_new_one_without_a_terminal(
    finished_run: Path,
) -> None:
    before = runs_in(finished_run)

    done = run_example("--storage", finished_run, "--samples", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Found a finished run" in done.stdout
    assert "Starting a new one" in done.stdout
    assert len(runs_in(finished_run)) == len(before) + 1


@pytest.mark.parametrize(("answer", "new_runs"), [("c", 0), ("n", 1)])
def test_on_a_terminal_the_user_is_asked(finished_run: Path, answer: str, new_runs: int) -> None:
    before = runs_in(finished_run)
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())

    done = run_example("--storage", finished_run, "--samples", "1", stdin=theirs)
    os.close(ours)
    os.close(theirs)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[c] show its results, or [n] start a new one?" in done.stdout
    assert len(runs_in(finished_run)) == len(before) + new_runs


def test_continue_without_an_earlier_run_starts_a_new_one(tmp_path: Path) -> None:
    done = run_example("--storage", tmp_path / "none", "--continue", "--samples", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(runs_in(tmp_path / "none")) == 1
