"""Commands read the latest run of an experiment, say that there are others, and take them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from localtune.error import UsageError
from localtune.schedulers import ASHAScheduler
from localtune.search.sample import grid_search
from localtune.tools.cli.main import main
from localtune.tools.report import write_report
from tests.small_runs import fit, reporting

NOTE = "has 2 runs; this is run 2, the latest. Read another one with --run 1."


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of two runs with other goals, and one of a single run."""
    folder = tmp_path_factory.mktemp("storage")
    fit(reporting, folder, {"x": grid_search([1, 3])}, name="both", metric="score", mode="max")
    fit(reporting, folder, {"x": grid_search([5, 7, 9])}, name="both", metric="step", mode="min")
    fit(reporting, folder, {"x": 2}, name="single", metric="score", mode="max")
    return folder


@pytest.fixture
def both(storage: Path) -> str:
    return str(storage / "both")


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(list(arguments)) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_ls_shows_the_latest_run_and_takes_others(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = call(capsys, "ls", str(storage))
    assert "2 of 2" in out and f"both: The experiment {NOTE}" in err
    out, _ = call(capsys, "ls", str(storage), "--json")
    found = {each["name"]: each for each in json.loads(out)}
    assert [found["both"][key] for key in ("run", "runs", "metric")] == [2, 2, "step"]
    assert [found["single"][key] for key in ("run", "runs", "metric")] == [1, 1, "score"]

    out, err = call(capsys, "ls", str(storage), "--run", "1")
    assert "1 of 2" in out and "score=3" in out and "single" in out
    out, err = call(capsys, "ls", str(storage), "--run", "2")
    assert "single" not in out and "has no run 2: it has only the run 1." in err


def test_a_single_run_is_not_spoken_of(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["show"], ["best"]):
        out, err = call(capsys, *arguments, str(storage / "single"))
        assert "run" not in re.sub(r"/\S+", "", out + err)


def test_show_shows_the_latest_run_and_takes_others(
    both: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = call(capsys, "show", both)
    assert "run     2 of 2" in out and "trials  3" in out and NOTE in err
    out, err = call(capsys, "show", both, "--run", "1")
    assert "run     1 of 2" in out and "trials  2" in out and "metric  score (max)" in out
    assert "this is run 1. Read another one with --run 2." in err
    out, _ = call(capsys, "show", both, "0", "--run", "1", "--json")
    assert json.loads(out)["config"]["x"] == 1


def test_best_goes_by_the_goal_of_the_run(both: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = call(capsys, "best", both, "--json")
    assert (json.loads(out)["metric"], json.loads(out)["config"]["x"]) == ("step", 5)
    assert NOTE in err
    out, _ = call(capsys, "best", both, "--run", "1", "--json")
    assert (json.loads(out)["metric"], json.loads(out)["config"]["x"]) == ("score", 3)


def test_best_knows_the_goal_of_a_scheduler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = ASHAScheduler(metric="score", mode="max")
    fit(reporting, tmp_path, {"x": grid_search([1, 3])}, scheduler=scheduler)
    out, _ = call(capsys, "best", str(tmp_path / "run"), "--json")
    assert (json.loads(out)["metric"], json.loads(out)["value"]) == ("score", 3)


def test_export_writes_the_run_that_is_asked_for(
    both: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[list[Any]] = []
    for more in ([], ["--run", "1"], ["--run", "1", "--rows", "results"]):
        target = tmp_path / f"{len(found)}.csv"
        _, err = call(capsys, "export", both, "--to", "csv", "-o", str(target), *more)
        assert "has 2 runs" in err
        with target.open() as file:
            found.append([row["config/x"] for row in csv.DictReader(file)])
    assert found == [["5", "7", "9"], ["1", "3"], ["1", "3"]]


def test_a_report_shows_the_run_that_is_asked_for(
    both: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    for more, numbers in (([], "3 trials"), (["--run", "1"], "2 trials")):
        out, err = call(capsys, "report", both, "-o", str(target), "--json", *more)
        assert f"{json.loads(out)['trials']} trials" == numbers
        assert "has 2 runs" in err and "has 2 runs" in target.read_text()
    write_report(both, target, run=1)
    assert "this is run 1." in target.read_text()


def test_tail_finds_trials_of_the_run_that_is_asked_for(
    both: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = call(capsys, "tail", both, "0", "--run", "1")
    assert json.loads(out.splitlines()[-1])["config"]["x"] == 1


@pytest.mark.parametrize("command", ["show", "best", "report", "export", "tail"])
@pytest.mark.parametrize("run", ["3", "0", "x"])
def test_a_run_that_does_not_exist_is_a_usage_error(
    both: str, tmp_path: Path, command: str, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "file")
    more = {
        "report": ["-o", target],
        "export": ["--to", "csv", "-o", target],
        "tail": ["0"],
    }
    out, err = call(capsys, command, both, *more.get(command, []), "--run", run, code=2)
    assert out == "" and ("has no run 3: it has the runs 1 to 2" in err) == (run == "3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["best", "report", "export"])
def test_a_metric_needs_a_mode_where_that_of_the_run_is_meant_for_another_one(
    both: str, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "file")
    more = {"report": ["-o", target], "export": ["--to", "optuna", "-o", target]}
    arguments = [command, both, *more.get(command, []), "--metric", "score"]
    _, err = call(capsys, *arguments, code=2)
    expected = "The metric 'score' needs a mode, min or max: that of the run, 'min', is meant for"
    assert expected in err
    assert list(tmp_path.iterdir()) == []
    call(capsys, *arguments, "--mode", "max")
    call(capsys, *arguments[:-1], "step", *(["--force"] if command == "export" else []))


def test_a_report_in_python_needs_the_mode_likewise(both: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a mode"):
        write_report(both, tmp_path / "report.html", metric="score")
