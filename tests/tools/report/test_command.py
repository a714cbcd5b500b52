"""``localtune report``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localtune.search.sample import grid_search
from localtune.tools.cli.main import main
from tests.small_runs import fit, reporting
from tests.tools.cli.command import localtune


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with an experiment of two trials."""
    storage = tmp_path_factory.mktemp("storage")
    fit(reporting, storage, {"x": grid_search([1, 2])}, metric="score", mode="max")
    return storage


def test_it_writes_one_file_in_a_process_of_its_own(storage: Path, tmp_path: Path) -> None:
    done = localtune(tmp_path, "report", "run", "--storage", str(storage))

    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"Wrote {tmp_path / 'report.html'} (")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "higher is better" in (tmp_path / "report.html").read_text("utf-8")


def test_json_names_the_file(
    storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.html"
    path.write_text("an older one")
    capsys.readouterr()

    assert main(["report", str(storage / "run"), "-o", str(path), "--mode", "min", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found == {"file": str(path), "trials": 2, "size_bytes": path.stat().st_size}
    assert "lower is better" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "."], "--output must be a file"),
        (["-o", "no/such/report.html"], "--output must be a file"),
        (["--mode", "mim"], "Did you mean 'min'?"),
        (["--metric", "scroe"], "Did you mean 'score'?"),
    ],
)
def test_bad_usage_is_told(
    options: list[str],
    says: str,
    storage: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["report", str(storage / "run"), *options]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_shown_in_the_browser(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A browser that writes down what it is asked to show.
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))

    done = localtune(tmp_path, "report", str(storage / "run"), "--open")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shown").read_text().strip() == (tmp_path / "report.html").as_uri()
