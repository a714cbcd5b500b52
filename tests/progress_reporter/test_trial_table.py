from __future__ import annotations

import math
from typing import Any

from localtune.progress_reporter.line import plain
from localtune.progress_reporter.trial_table import trial_table
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import ended_trial, make_trial


def table(trials: list[Trial], width: int = 80, **options: Any) -> list[str]:
    options = {"metric": "loss", "mode": "min", "parameters": ["lr", "batch"], **options}
    return [plain(line) for line in trial_table(trials, width=width, **options)]


def test_shows_state_metric_parameters_iterations_and_time() -> None:
    trials = [ended_trial(0, loss=0.25), ended_trial(1, Status.ERROR, loss=12.5), make_trial(2)]

    assert table(trials) == [
        "Trial   State     loss ↓   lr  batch  Iter  Time",
        "──────  ────────  ──────  ───  ─────  ────  ────",
        "t00000  finished    0.25  0.1     32     2  3.0s",
        "t00001  failed      12.5  0.2     32     2  3.0s",
        "t00002  pending        -  0.3     32     0    0s",
    ]


def test_the_arrow_shows_which_way_is_better() -> None:
    assert "loss ↑" in table([ended_trial(loss=1)], mode="max")[0]
    assert " loss  " in table([ended_trial(loss=1)], mode=None)[0]


def test_the_first_trial_is_marked_as_the_best() -> None:
    lines = trial_table(
        [ended_trial(0, loss=1), ended_trial(1, loss=2)],
        metric="loss",
        mode="min",
        parameters=[],
        width=80,
    )

    assert ("1", "bold green") in lines[2]
    assert ("2", "") in lines[3]


def test_without_a_metric_a_few_that_are_reported_are_shown() -> None:
    trial = ended_trial(0, loss=1, acc=2, val={"f1": 3}, more=4)

    heading = table([make_trial(1), trial], metric=None, mode=None, parameters=[])[0]

    assert heading.split() == ["Trial", "State", "loss", "acc", "more", "Iter", "Time"]


def test_without_a_metric_and_results_there_is_no_metric_to_show() -> None:
    heading = table([make_trial()], metric=None, mode=None)[0]

    assert heading.split() == ["Trial", "State", "lr", "batch", "Iter", "Time"]


def test_odd_values_are_shown_as_they_are() -> None:
    trial = ended_trial(loss=math.nan)
    trial.config = {"lr": None, "batch": "a\nb"}

    assert table([trial])[2].split() == ["t00000", "finished", "nan", "0.1", r"a\nb", "2", "3.0s"]


def test_a_parameter_that_a_trial_does_not_have_is_a_dash() -> None:
    assert table([ended_trial(loss=1)], parameters=["momentum"])[2].split()[3] == "-"


def test_with_many_parameters_the_first_ones_iterations_and_time_stay() -> None:
    params = {f"param_{i}": 0.123456 for i in range(20)}
    trial = make_trial(params=params)

    heading = table([trial], parameters=list(params))[0].split()

    assert heading[:4] == ["Trial", "State", "loss", "↓"]
    assert heading[4:7] == ["param_0", "param_1", "param_2"]
    assert heading[7:] == ["param_3", "param_4", "Iter", "Time"]


def test_at_twenty_columns_name_and_metric_stay() -> None:
    assert table([ended_trial(loss=0.0012345)], width=20) == [
        "Trial      loss ↓  …",
        "──────  ─────────",
        "t00000  0.0012345",
    ]
