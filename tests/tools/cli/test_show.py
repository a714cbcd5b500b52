"""``show --top`` shows the best trials without reading the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localtune.search.sample import grid_search
from localtune.storage.reading import read_experiment
from localtune.tools.cli.main import main
from tests.small_runs import fit, reporting

VALUES = [5, 1, 9, 7, 3]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage")
    fit(reporting, folder, {"x": grid_search(VALUES)}, name="goal", metric="score", mode="max")
    fit(reporting, folder, {"x": 2}, name="none")
    return folder


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(list(arguments)) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_best_trials_come_first_with_their_numbers(
    storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(storage / "goal")
    out, _ = call(capsys, "show", path, "--top", "2")
    everything, _ = call(capsys, "show", path)

    head, rows = out.splitlines()[:5], [line.split() for line in out.splitlines()[-2:]]
    assert head == everything.splitlines()[:5]
    assert "trials  5: 5 TERMINATED" in head
    assert [(int(row[0]), float(row[-1])) for row in rows] == [(2, 9), (3, 7)]

    told = json.loads(call(capsys, "show", path, "--top", "2", "--json")[0])
    assert [each["config"]["x"] for each in told["trials"]] == [9, 7]
    assert told["counts"] == {"TERMINATED": 5}


def test_more_than_there_are_shows_all(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = call(capsys, "show", str(storage / "goal"), "--top", "10")
    assert [float(line.split()[-1]) for line in out.splitlines()[-5:]] == [9, 7, 5, 3, 1]


@pytest.mark.parametrize("command", [["show", "--top", "1"], ["best"]])
def test_only_the_best_trial_is_read(
    command: list[str],
    storage: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        found = read_experiment(*arguments, **options)
        counts.append(len(found.trials))
        return found

    monkeypatch.setattr("localtune.analysis.reader.read_experiment", counted)
    out, _ = call(capsys, command[0], str(storage / "goal"), *command[1:])

    assert counts == [1] and "9" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "--top", "1"], "What is best is not known of this run: leave out --top."),
        (["goal", "0", "--top", "1"], "--top shows trials of an experiment: leave out TRIAL."),
        (["goal", "--top", "0"], "must be at least 1, but got 0"),
    ],
)
def test_what_has_no_best_is_told(
    arguments: list[str], message: str, storage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, *others = arguments
    _, err = call(capsys, "show", str(storage / path), *others, code=2)
    assert message in err
