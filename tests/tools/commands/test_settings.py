"""Each setting has one check."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.error import UsageError
from localtune.tools.commands import settings
from localtune.tools.commands.program import PROGRAM_CHECKS
from localtune.tools.commands.settings import CHECKS, parameter, put


@pytest.mark.parametrize(
    ("setting", "value", "meant"),
    [
        ("samples", "12", 12),
        ("samples", -1, -1),
        ("mode", "min", "min"),
        ("stop", "training_iteration=3,loss=1e-2", {"training_iteration": 3, "loss": 1e-2}),
        ("stop", {"loss": 0.5}, {"loss": 0.5}),
        ("resources", "cpu=2,gpu=0.5,tokens=1", {"CPU": 2.0, "GPU": 0.5, "tokens": 1.0}),
        ("resources", {"cpu": 1}, {"CPU": 1.0}),
        ("time_budget", "1.5h", 5400.0),
        ("time_budget", 90, 90.0),
        ("max_failures", "-1", -1),
        ("verbose", "3", 3),
        ("scheduler", "asha(max_t=9)", "asha(max_t=9)"),
        ("search", "random", "random"),
        ("command", "train {lr}", "train {lr}"),
        ("command", ["train", "{lr}"], ["train", "{lr}"]),
        ("grace", "0", 0.0),
        ("grace", "1m", 60.0),
        ("env", {"A": "1"}, {"A": "1"}),
        ("trial_timeout", "2h", 7200.0),
    ],
)
def test_a_value_is_taken(setting: str, value: Any, meant: Any) -> None:
    assert CHECKS[setting](value) == meant


@pytest.mark.parametrize(
    ("setting", "value", "part"),
    [
        ("samples", "0", "at least 1, or -1"),
        ("samples", "many", "a whole number, but got 'many'"),
        ("samples", True, "a whole number"),
        ("samples", 1.5, "a whole number"),
        ("mode", "minimum", "Did you mean 'min'?"),
        ("stop", "loss", "must be KEY=VALUE"),
        ("stop", "loss=low", "loss must be a number, but got 'low'"),
        ("resources", {"cpu": -1}, "cpu must be at least 0"),
        ("resources", 2, "must be a table, or a text such as 'cpu=2,gpu=0.5'"),
        ("time_budget", "2 weeks", "30m, 2h, 1d"),
        ("time_budget", 0, "30m, 2h, 1d"),
        ("time_budget", True, "30m, 2h, 1d"),
        ("max_concurrent", "0", "at least 1"),
        ("max_failures", "-2", "or -1 (no end)"),
        ("verbose", "4", "0, 1, 2 or 3"),
        ("log_to_file", "yes", "true or false"),
        ("scheduler", "ashaa", "Did you mean 'asha'?"),
        ("scheduler", "asha(maxt=9)", "Did you mean 'max_t'?"),
        ("scheduler", "asha(max_t=0)", "max_t"),
        ("search", "optunaa", "Did you mean 'optuna'?"),
        ("param_space", [1], "a table of parameters"),
        ("trainable", "", "must be a text"),
        ("command", " ", "must be a text"),
        ("command", ["train", 3], "but the list has 3. Put it in quotes"),
        ("command", [], "must begin with a program"),
        ("grace", "-1", "30m, 2h, 1d"),
        ("env", ["A=1"], "a table of texts"),
        ("env", {"A": 1}, "A must be a text, but got 1"),
        ("params_by", "envs", "Did you mean 'env'?"),
        ("results", "std", "must be one of any, stdout, file, final, report"),
        ("pattern", "loss=(", "'loss=(' cannot be compiled: missing ), unterminated subpattern"),
        ("pattern", "loss=(.*)", "must have named groups, one for each metric"),
    ],
)
def test_another_value_is_refused_with_what_would_do(setting: str, value: Any, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        CHECKS[setting](value)

    assert part in str(caught.value)


def test_a_parameter_may_be_nested() -> None:
    space: dict[str, Any] = {"model": {"depth": 2}}

    put(space, *parameter("model/width=16"))

    assert space == {"model": {"depth": 2, "width": 16}}


@pytest.mark.parametrize("space", [{"model": 3}, {"model": {"grid_search": [1]}}])
def test_a_parameter_cannot_be_inside_a_value(space: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="'model' is a value itself"):
        put(space, ["model", "width"], 1)


def test_each_setting_is_a_field_of_a_sweep() -> None:
    names = CHECKS.keys() - PROGRAM_CHECKS.keys()
    assert set(vars(settings.Sweep())) - names == {"directory", "if_exists", "program"}


@pytest.mark.parametrize("value", [True, False, "/srv/ledger"])
def test_a_machine_is_shared_or_not_or_by_the_ledger_of_a_group(value: bool | str) -> None:
    assert CHECKS["shared"](value) == value


@pytest.mark.parametrize("value", [1, "", " ", None, ["a"]])
def test_other_values_of_shared_are_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="true, false, or the directory"):
        CHECKS["shared"](value)
