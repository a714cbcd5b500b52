"""What a run shows and refuses before its first trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import ASHAScheduler, ResourceChangingScheduler
from localtune.search.optuna import OptunaSearch
from tests.small_runs import make_tuner


def train(config: dict[str, Any]) -> None:
    tune.report({"score": config["x"]})


GOAL: dict[str, Any] = {"metric": "score", "mode": "max"}


@pytest.mark.parametrize(
    "options",
    [
        GOAL,
        {"scheduler": ASHAScheduler(**GOAL)},
        {"scheduler": ResourceChangingScheduler(ASHAScheduler(**GOAL))},
        {"search_alg": OptunaSearch(**GOAL)},
        {"search_alg": OptunaSearch(**GOAL), "max_concurrent_trials": 1},
    ],
    ids=["run", "scheduler", "wrapped scheduler", "searcher", "limited searcher"],
)
def test_the_summary_names_the_best_trial_by_the_goal_of_any_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    make_tuner(train, tmp_path, {"x": tune.uniform(1, 2)}, verbose=1, **options).fit()

    shown = capsys.readouterr().out
    assert "No best trial" not in shown
    assert "(max)" in shown


def test_the_header_names_the_searcher_that_the_user_gave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = OptunaSearch(**GOAL)
    make_tuner(train, tmp_path, {"x": tune.uniform(1, 2)}, verbose=1, search_alg=search).fit()

    shown = capsys.readouterr().out
    assert "OptunaSearch" in shown
    assert "BackgroundSearch" not in shown


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_a_number_of_waiting_trials_that_is_none_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", text)

    with pytest.raises(ValueError, match="must be 'auto' or a whole number of at least 1"):
        make_tuner(train, tmp_path, {"x": 1})

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["auto", "1"])
def test_a_number_of_waiting_trials_may_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", text)

    grid = make_tuner(train, tmp_path, {"x": tune.grid_search([1, 2, 3])}).fit()

    assert [(result.metrics or {})["score"] for result in grid] == [1, 2, 3]
