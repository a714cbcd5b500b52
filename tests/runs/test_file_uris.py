"""A directory of this machine may be named by a ``file://`` URI wherever a path names one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.testing.curves_of_experiment import curves_of_experiment
from localtune.tools.cli.main import main
from localtune.tools.report import write_report
from localtune.utils.remote_store import local_path
from tests.small_runs import fit, reporting


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that a URI named when it was written; there is a space in its path."""
    storage = tmp_path_factory.mktemp("my runs")
    space = {"x": tune.grid_search([1, 3]), "steps": 2}
    fit(reporting, storage.as_uri(), space, metric="score", mode="max")  # type: ignore[arg-type]
    return storage / "run"


READERS: dict[str, Callable[[str], Any]] = {
    "ExperimentAnalysis": lambda uri: len(tune.ExperimentAnalysis(uri).trials),
    "Tuner.can_restore": tune.Tuner.can_restore,
    "Tuner.restore": lambda uri: len(tune.Tuner.restore(uri, reporting).get_results()),
    "curves_of_experiment": lambda uri: len(curves_of_experiment(uri).configs),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_a_uri_as_it_takes_a_path(experiment: Path, name: str) -> None:
    read = READERS[name]
    assert " " in str(experiment) and "%20" in experiment.as_uri()
    assert read(experiment.as_uri()) == read(str(experiment)) in (True, 2)


def test_a_trial_is_read_by_its_uri(experiment: Path) -> None:
    (first, _) = tune.ExperimentAnalysis(experiment).trials
    assert tune.Result.from_path(Path(first.path).as_uri()).metrics == first.last_result


@pytest.mark.parametrize("command", ["show", "best", "tail"])
def test_a_command_takes_a_uri_as_it_takes_a_path(
    experiment: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["0"] if command == "tail" else []
    assert main([command, str(experiment), *more]) == 0
    expected = capsys.readouterr().out
    assert main([command, experiment.as_uri(), *more]) == 0
    assert capsys.readouterr().out == expected


def test_the_storage_of_commands_may_be_a_uri(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["ls", experiment.parent.as_uri(), "--json"],):
        assert main(arguments) == 0
        assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["run"]
    assert main(["show", "run", "--storage", experiment.parent.as_uri()]) == 0


def test_files_are_made_of_experiments_that_a_uri_names(experiment: Path, tmp_path: Path) -> None:
    assert main(["export", experiment.as_uri(), "--to", "csv", "-o", str(tmp_path / "t.csv")]) == 0
    assert (tmp_path / "t.csv").stat().st_size > 100
    write_report(experiment.as_uri(), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 100


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("local:///a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file:///a%20b", "/a b"),
        ("/a%20b", "/a%20b"),
        ("relative", "relative"),
        ("s3://bucket/a", "s3://bucket/a"),
    ],
)
def test_what_a_text_means_on_this_machine(text: str, path: str) -> None:
    assert local_path(text) == path
    assert local_path("~") == str(Path.home()) == local_path(Path("~"))
