"""Which files of a trial's directory go to a store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localtune.trial.uploaded_files import uploaded_files

EVENTS = "events.out.tfevents.1"


@pytest.mark.parametrize(
    ("histories", "artifacts", "expected"),
    [
        (True, False, {"result.json", EVENTS}),
        (False, False, {EVENTS}),
        (True, True, {"result.json", EVENTS, "note", "deep/result.json"}),
        (False, True, {EVENTS, "note", "deep/result.json"}),
    ],
)
def test_histories_and_other_files_are_told_apart(
    tmp_path: Path, histories: bool, artifacts: bool, expected: set[str]
) -> None:
    for name in (
        *("result.json", EVENTS, "note", "deep/result.json"),
        *("checkpoint_000001/weights", ".staging_x/half", ".staging_note"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = uploaded_files(os.fspath(tmp_path), histories=histories, artifacts=artifacts)
    assert set(found) == expected
