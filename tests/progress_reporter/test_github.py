from __future__ import annotations

from pathlib import Path

import pytest

import localtune as tune
from localtune.progress_reporter.github import MAX_ANNOTATIONS, GitHubLog, is_github_actions
from localtune.progress_reporter.line import plain


def test_only_true_means_github() -> None:
    assert is_github_actions({"GITHUB_ACTIONS": "true"})
    assert not is_github_actions({"GITHUB_ACTIONS": "false"})
    assert not is_github_actions({})


def test_text_cannot_break_out_of_an_annotation() -> None:
    log = GitHubLog({"GITHUB_WORKSPACE": "/repo"})
    (line,) = log.annotation(
        "error", "50%\nof it", title="a: b, c", place=("/repo/src/train.py", 3)
    )
    expected = "::error file=src/train.py,line=3,title=a%3A b%2C c::50%25%0Aof it"
    assert plain(line) == expected


def test_a_file_elsewhere_keeps_its_path() -> None:
    log = GitHubLog({"GITHUB_WORKSPACE": "/repo"})
    (line,) = log.annotation("warning", "x", title="t", place=("/repository/train.py", 3))
    assert "file=/repository/train.py," in plain(line)


def test_a_source_that_is_no_file_is_not_named() -> None:
    (line,) = GitHubLog({}).annotation("error", "x", title="t", place=("<stdin>", 3))
    assert plain(line) == "::error title=t::x"


def test_no_more_annotations_are_made_than_github_shows() -> None:
    log = GitHubLog({})
    made = [log.annotation("error", "x", title="t") for _ in range(MAX_ANNOTATIONS + 5)]
    assert sum(map(len, made)) == MAX_ANNOTATIONS
    assert log.annotation("warning", "x", title="t")


def test_a_group_begins_and_ends_on_lines_of_its_own() -> None:
    lines = GitHubLog({}).group("Best\ntrials", [[("one", "")]])
    assert [plain(line) for line in lines] == [r"::group::Best\ntrials", "one", "::endgroup::"]


def test_a_real_run_annotates_the_place_of_a_failure_on_github(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path(__file__).parents[2]))

    def train(config: dict[str, int]) -> None:
        tune.report({"loss": config["x"]})
        if config["x"] == 2:
            raise ValueError("x is 2")

    tune.Tuner(
        train,
        param_space={"x": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        run_config=tune.RunConfig(storage_path=tmp_path),
        executor="inprocess",
    ).fit()

    lines = capsys.readouterr().out.splitlines()
    (error,) = [line for line in lines if line.startswith("::error ")]
    assert error.startswith("::error file=tests/progress_reporter/test_github.py,line=")
    assert "ValueError: x is 2" in error
    groups = [line for line in lines if line.startswith("::group::")]
    assert [group[:22] for group in groups] == ["::group::Traceback of ", "::group::Best trials"]
    assert lines.count("::endgroup::") == 2
