"""The stack that a worker leaves when native code crashes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.worker.crash import take_crash, write_crashes_to
from tests.runs.lifecycle.programs import START_METHODS


def crash(depth: int) -> None:
    if depth:
        crash(depth - 1)
    os.abort()


def train(config: dict[str, Any]) -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True, name="other").start()
    crash(3)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_the_stack_of_a_crash_begins_and_ends_in_user_code(
    tmp_path: Path, start_method: str
) -> None:
    (result,) = tune.Tuner(
        train,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    assert isinstance(result.error, tune.error.WorkerDiedError)
    head, crashed, other, *_ = result.error.traceback_text.split("\n\n")
    assert head == "Fatal Python error: Aborted"
    assert [line.rpartition(" in ")[2] for line in crashed.splitlines()[1:]] == [
        *["crash"] * 4,
        "train",
    ]
    assert other.startswith("Thread ")


def test_a_worker_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "crash-7").write_text("Fatal")
    assert take_crash(str(tmp_path), 7, 0) == ""
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_for_it_a_worker_runs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faulthandler

    enabled: list[Any] = []
    monkeypatch.setattr(faulthandler, "enable", lambda *fds: enabled.append(fds))
    assert write_crashes_to(str(tmp_path / "gone"), 7) == ""
    assert enabled == [()]
