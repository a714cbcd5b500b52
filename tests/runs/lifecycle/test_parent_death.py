"""A parent that is killed takes with it all that its trials have started."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.runs.lifecycle.programs import (
    START_METHODS,
    environment,
    read_ids,
    running,
    wait_until,
    wait_until_gone,
)

# From the death of the parent on. The kernel tells it at once.
LIMIT_S = 2.0


@pytest.mark.parametrize("start_method", START_METHODS)
def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path, start_method: str) -> None:
    (tmp_path / "ids").mkdir()
    (tmp_path / "temporary").mkdir()
    variables = environment(TMPDIR=str(tmp_path / "temporary"))
    arguments = ["-m", "tests.runs.lifecycle.families", start_method]
    with running(arguments, tmp_path, env=variables) as parent:
        wait_until((tmp_path / "ready").exists, (tmp_path / "output").read_text())
        helpers = {child.pid for child in psutil.Process(parent.pid).children(recursive=True)}
        started = read_ids(tmp_path / "ids")
        assert len(started) == 5  # the worker, its child, the daemon, two of the pool
        os.kill(parent.pid, signal.SIGKILL)
        wait_until_gone(started | helpers, LIMIT_S)
        wait_until(
            lambda: (
                not [
                    name
                    for name in os.listdir(tmp_path / "temporary")
                    if name.startswith("localtune-")
                ]
            ),
            "the private directory is removed",
            LIMIT_S,
        )


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_parent_that_is_told_to_terminate_leaves_nothing_either(
    tmp_path: Path, start_method: str
) -> None:
    (tmp_path / "ids").mkdir()
    arguments = ["-m", "tests.runs.lifecycle.families", start_method]
    with running(arguments, tmp_path) as parent:
        wait_until((tmp_path / "ready").exists, (tmp_path / "output").read_text())
        started = read_ids(tmp_path / "ids")

        def is_told() -> bool:
            # The trials are in a step that will not end; a second signal says not to wait for it.
            parent.send_signal(signal.SIGTERM)
            return parent.poll() is not None

        wait_until(is_told, "the parent ends")
        wait_until_gone(started, LIMIT_S)
