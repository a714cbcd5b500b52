"""``ls``, ``show`` and ``best``: experiments in any state."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from localtune.analysis.reader import ExperimentState, find_trial, read_or_explain, read_saved
from localtune.error import UsageError
from localtune.search.sample import grid_search
from localtune.storage.locks import experiment_locked
from localtune.tools.cli.main import main
from tests.small_runs import Counting, begin_only, fit, make_tuner, reporting


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage with an experiment of two trials, of which the second is the best."""
    folder = tmp_path / "s"
    space = {"x": grid_search([1, 3]), "steps": 2, "inner": {"text": "a\nb"}}
    fit(reporting, folder, space, name="good", metric="score", mode="max")
    return folder


def output(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 0) -> str:
    capsys.readouterr()  # What the runs of the test have printed.
    assert main([str(each) for each in arguments]) == code
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(output(capsys, *arguments, "--json"), parse_constant=refuse)


def test_ls_lists_each_with_state_and_best(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(Counting, storage, {"fail_at": 2}, name="failed")
    begin_only(make_tuner(reporting, storage, name="new"))
    broken = shutil.copytree(storage / "good", storage / "torn")
    (broken / "experiment.db").write_bytes(b"no database at all" * 100)
    foreign = shutil.copytree(storage / "good", storage / "open")
    foreign.chmod(0o777)

    found = {each["name"]: each for each in as_json(capsys, "ls", storage)}

    assert {name: each["state"] for name, each in found.items()} == {
        "failed": "done",
        "good": "done",
        "new": "empty",
        "open": "untrusted",
        "torn": "unreadable",
    }
    assert found["good"]["trials"] == {"TERMINATED": 2}
    assert found["good"]["best"]["value"] == 6
    assert found["failed"]["trials"] == {"ERROR": 1}
    assert found["failed"]["best"] is None
    assert "every user may write" in found["open"]["problem"]
    table = output(capsys, "ls", storage)
    assert "score=6" in table and "unreadable" in table
    trusted = {each["name"]: each for each in as_json(capsys, "ls", storage, "--trust")}
    assert trusted["open"]["state"] == "done"


def test_ls_of_the_default_place_before_the_first_run_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert as_json(capsys, "ls") == []


def test_an_experiment_in_use_is_running(storage: Path) -> None:
    path = str(storage / "good")

    with experiment_locked(path):
        assert read_saved(path).state is ExperimentState.RUNNING
    assert read_saved(path).state is ExperimentState.DONE


def test_a_directory_that_is_gone_is_unreadable(storage: Path) -> None:
    saved = read_or_explain(str(storage / "good"))
    shutil.rmtree(storage / "good")

    assert saved.state is ExperimentState.DONE
    assert read_or_explain(str(storage / "good")).state is ExperimentState.EMPTY


def test_show_tells_of_all_trials(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "good", "--storage", storage)

    assert "trials  2: 2 TERMINATED" in text
    assert "metric  score (max), best 6" in text
    table = [line.split() for line in text.splitlines()[-2:]]
    assert [row[0] for row in table] == ["0", "1"]
    assert [row[1][-6:] for row in table] == ["_00000", "_00001"]


def test_show_tells_of_one_trial(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", storage / "good", "1")
    record = as_json(capsys, "show", storage / "good", "1")

    assert record["config"] == {"x": 3, "steps": 2, "inner": {"text": "a\nb"}}
    assert (record["status"], record["results"], record["result"]["score"]) == ("TERMINATED", 2, 6)
    assert record["path"] in text
    # A line break in a value does not break the lines.
    assert "inner/text  a\\nb" in text


def test_show_tells_why_a_trial_failed(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(Counting, storage, {"fail_at": 2}, name="failed")

    text = output(capsys, "show", storage / "failed", "0")

    assert "failed 1 time; the last failure:" in text
    assert "ValueError: step 2 failed" in text


def test_show_and_best_of_an_experiment_without_trials(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_only(make_tuner(reporting, storage, name="new", metric="score", mode="max"))

    assert "state   empty" in output(capsys, "show", storage / "new")
    output(capsys, "best", storage / "new", code=1)


def test_a_trial_is_found_by_id_number_directory_and_start(storage: Path) -> None:
    saved = read_saved(str(storage / "good"))
    first, second = saved.trials

    for text in (second.trial_id, "1", second.dirname, second.path + "/", second.dirname[:-3]):
        assert find_trial(saved, text) is second
    assert find_trial(saved, first.trial_id) is first


@pytest.mark.parametrize(
    ("text", "says"),
    [("reporting", "the start of 2 trials"), ("999999", "There is no trial '999999'")],
)
def test_what_means_no_trial_or_several_is_refused(text: str, says: str, storage: Path) -> None:
    with pytest.raises(UsageError, match=says):
        find_trial(read_saved(str(storage / "good")), text)


def test_best_takes_the_metric_of_the_run_or_another(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = storage / "good"

    assert as_json(capsys, "best", path)["config"]["x"] == 3
    worst = as_json(capsys, "best", path, "--mode", "min", "--scope", "all")
    assert (worst["config"]["x"], worst["value"]) == (1, 1)
    assert "best         score = 6 (max, last)" in output(capsys, "best", path)
    output(capsys, "best", path, "--metric", "scroe", code=1)


def test_best_needs_a_metric(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(reporting, storage, {"x": float("nan")}, name="plain")

    assert main(["best", str(storage / "plain")]) == 2
    assert "--metric NAME --mode min|max" in capsys.readouterr().err
    assert as_json(capsys, "show", storage / "plain", "0")["config"] == {"x": None}
