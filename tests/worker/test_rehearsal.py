"""A rehearsal leaves its process as it was."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from localtune.worker import rehearsal
from localtune.worker.host import ProcessHost
from localtune.worker.rehearsal import rehearse


def test_a_process_is_the_same_after_a_rehearsal(tmp_path: Path) -> None:
    def state() -> tuple[object, ...]:
        return (
            os.getcwd(),
            dict(os.environ),
            random.getstate(),
            sorted(os.listdir("/proc/self/fd")),
            threading.enumerate(),
            os.listdir(tmp_path),
        )

    rehearse(str(tmp_path))  # The first one may import modules.
    before = state()
    rehearse(str(tmp_path))
    assert state() == before


def test_a_rehearsal_goes_through_all_commands_of_a_short_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = []
    run = ProcessHost.run
    monkeypatch.setattr(ProcessHost, "run", lambda host: codes.append(run(host)))
    rehearse(str(tmp_path))
    assert codes == [0] * rehearsal._TIMES


def test_a_rehearsal_that_fails_is_no_error(tmp_path: Path) -> None:
    rehearse(str(tmp_path / "missing"))
    assert os.getcwd() != str(tmp_path)
