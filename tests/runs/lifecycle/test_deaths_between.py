"""If a process between a run and its trials is killed or stopped, no process of a trial stays."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.runs.lifecycle.programs import (
    environment,
    read_ids,
    running,
    wait_until,
    wait_until_gone,
)

LIMIT_S = 20.0

# Signals in the order in which they are sent. The parent goes on where it is not killed itself.
OF_TEMPLATES = [
    "kill template",
    "kill guard",
    "kill template, kill parent",
    "kill guard, kill parent",
    "kill parent, kill guard",
    "kill parent, kill template",
    "stop worker, kill parent",
    "stop template, kill parent",
    "stop guard, kill parent",
    "stop guard, stop template, stop worker, kill parent",
    "stop template, kill guard",
    "stop template, kill guard, kill parent",
    "stop guard, kill template, kill parent",
    "stop worker, kill template",
    "kill base, kill parent",
    "stop base, kill guard",
    "stop base, stop guard, kill parent",
]
# All that could adopt an orphan is gone: it is found by its environment alone.
OF_TEMPLATES_BY_MARK = ["kill template, kill guard", "kill guard, kill template"]
OF_PORTABLE = ["stop worker, kill parent", "replace guard, kill parent"]


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def send(steps: str, pids: dict[str, int]) -> None:
    for step in steps.split(", "):
        verb, role = step.split()
        siblings = children(pids["parent"]) if verb == "replace" else set()
        # The next one may have seen the end of the last already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[role], signal.SIGSTOP if verb == "stop" else signal.SIGKILL)
        if verb == "stop":
            wait_until(lambda pid=pids[role]: not is_running(pid), step)  # type: ignore[misc]
        elif verb == "replace":
            wait_until(lambda before=siblings: children(pids["parent"]) - before, step)  # type: ignore[misc]


def children(pid: int) -> set[int]:
    return {each.pid for each in psutil.Process(pid).children()}


def roles(parent: int, worker: int) -> dict[str, int]:
    """{role: process id} of the processes from a worker up to the parent."""
    found = {"parent": parent, "worker": worker}
    above = psutil.Process(worker).ppid()
    if above == parent:
        (found["guard"],) = children(parent) - {worker}
    else:
        found["template"] = above
        found["guard"] = psutil.Process(above).ppid()
        assert psutil.Process(found["guard"]).ppid() == parent
        (found["base"],) = children(found["guard"]) - {above}
    return found


@pytest.mark.parametrize(
    ("start_method", "steps", "stranger"),
    [
        *(("template", steps, True) for steps in OF_TEMPLATES),
        *(("template", steps, False) for steps in OF_TEMPLATES_BY_MARK),
        *(("spawn", steps, True) for steps in OF_TEMPLATES[:4]),
        *(("portable", steps, True) for steps in OF_PORTABLE),
    ],
)
def test_nothing_of_a_trial_outlives_those_above_it(
    tmp_path: Path, start_method: str, steps: str, stranger: bool
) -> None:
    (tmp_path / "ids").mkdir()
    (tmp_path / "temporary").mkdir()
    arguments = ["-m", "tests.runs.lifecycle.families", start_method, *["stranger"][:stranger]]
    variables = environment(TMPDIR=str(tmp_path / "temporary"))
    with running(arguments, tmp_path, env=variables) as parent:
        wait_until((tmp_path / "ready").exists, (tmp_path / "output").read_text())
        started = read_ids(tmp_path / "ids")
        assert len(started) == 5 + stranger
        (worker,) = [pid for pid in started if psutil.Process(pid).ppid() not in started | {1}]
        pids = roles(parent.pid, worker)
        send(steps, pids)
        if "kill parent" in steps:
            wait_until_gone(started | set(pids.values()), LIMIT_S)
        else:
            wait_until_gone(started, LIMIT_S)
            # Its only trial has failed.
            wait_until(lambda: parent.poll() is not None, "the run ends")
            wait_until_gone(set(pids.values()), LIMIT_S)
            assert "process was killed, and it with it" in (tmp_path / "output").read_text()
    wait_until(
        lambda: not list((tmp_path / "temporary").glob("localtune-run-*")),
        "the private directory is removed",
        LIMIT_S,
    )
