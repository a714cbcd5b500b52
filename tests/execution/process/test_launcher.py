"""What the processes of workers get from their parent."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from localtune.execution.process.launcher import search_path

HOOKED = "__editable__.some_package.finder.__path_hook__"


class Finder:
    """Finds nothing; stands in ``sys.path`` under a name that is no path, as setuptools has it."""


def hook(entry: str) -> Finder:
    if entry == HOOKED:
        return Finder()
    raise ImportError


def test_entries_of_the_search_path_hold_in_other_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path_hooks", [*sys.path_hooks, hook])
    monkeypatch.setattr(sys, "path", ["", "lib", "missing", "/elsewhere", HOOKED])

    found = search_path()

    here = str(tmp_path)
    assert found == [os.path.join(here, ""), f"{here}/lib", f"{here}/missing", "/elsewhere", HOOKED]
