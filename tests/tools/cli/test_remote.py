"""Experiments in a store are named by their URI."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localtune.search.sample import grid_search
from localtune.tools.cli.main import main
from tests.small_runs import fit, reporting
from tests.tools.cli.command import write_script

STORAGE = "memory://sweeps-of-the-command-line"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home of the test's own, for working copies, and an empty store."""
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_show_and_best_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    space = {"x": grid_search([1, 2])}
    fit(reporting, STORAGE, space, metric="score", mode="max")  # type: ignore[arg-type]
    capsys.readouterr()

    assert main(["show", f"{STORAGE}/run"]) == 0
    assert "trials  2: 2 TERMINATED" in capsys.readouterr().out
    assert main(["best", f"{STORAGE}/run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == {"x": 2}


def test_what_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", f"{STORAGE}/nothing"]) == 2
    assert "There is no experiment at 'memory://" in capsys.readouterr().err


def test_retry_goes_on_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_script(tmp_path, "stored")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    options = ["--storage", STORAGE, "--name", "run", "--verbose", "0"]
    params = ["--param", "x=grid_search([1, 2])", "--param", f"fixed={tmp_path / 'fixed'}"]
    assert main(["run", "stored.py:train", *params, *options]) == 1
    (tmp_path / "fixed").touch()

    code = main(["retry", f"{STORAGE}/run", "stored.py:train"])

    sys.modules.pop("stored")
    assert code == 0
    capsys.readouterr()
    main(["show", f"{STORAGE}/run", "--json"])
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [trial["status"] for trial in trials] == ["TERMINATED", "TERMINATED"]
