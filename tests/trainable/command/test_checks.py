"""A command and a search space that do not fit together are refused before the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.search.optuna import OptunaSearch


def make(tmp_path: Path, words: list[str], space: dict[str, Any], **options: Any) -> tune.Tuner:
    config = {key: options.pop(key) for key in ("metric", "mode", "search_alg") if key in options}
    return tune.Tuner(
        tune.Command(["sh", *words], **options),
        param_space=space,
        tune_config=tune.TuneConfig(**config),
        run_config=tune.RunConfig(storage_path=tmp_path / "results"),
    )


GOAL = {"metric": "loss", "mode": "min"}
CONDITIONAL = {"opt": tune.choice([{"name": "sgd"}, {"name": "adam", "beta": tune.uniform(0, 1)}])}
ALTERNATIVES = {"opt": tune.choice(["sgd", {"name": "adam"}])}
COMPUTED = {"opt": tune.sample_from(lambda: {"name": "sgd"})}


@pytest.mark.parametrize(
    ("words", "space", "options"),
    [
        ([], {}, {}),
        (["{lr}"], {"lr": 1}, {}),
        (["{a/b}", "{a/c}"], {"a": {"b": 1, "c": 2}}, {}),
        (["{a}"], {"a": {"b": 1, "c": 2}}, {}),
        (["{opt}"], CONDITIONAL, {}),
        (["{opt/name}"], CONDITIONAL, {"params_by": "env"}),
        (["{opt}"], ALTERNATIVES, {}),
        (["{opt/name}"], COMPUTED, {}),
        (["{seed}", "{trial_dir}", "{checkpoint_dir}", "{gpu_ids}"], {}, {}),
        ([], {"lr": 1, "PATH": 2}, {"params_by": "file"}),
        ([], {"a": {"seed": 1}}, {"params_by": "file"}),
        (
            ["{x}"],
            {},
            {"search_alg": OptunaSearch(lambda trial: None), "metric": "m", "mode": "min"},
        ),
    ],
)
def test_what_fits_is_accepted(
    tmp_path: Path, words: list[str], space: dict[str, Any], options: dict[str, Any]
) -> None:
    make(tmp_path, words, space, **options)


@pytest.mark.parametrize(
    ("words", "space", "options", "text"),
    [
        (["{lr}"], {}, {}, "placeholder {lr}, but there is no such parameter; there are: none"),
        (["{rl}"], {"lr": 1}, {}, "there are: lr"),
        (["{lr:.3g}"], {"lr": 1}, {}, "A format such as {lr:.3g} is not possible"),
        (["{lr.real}"], {"lr": 1}, {}, "no such parameter"),
        (["{sizes/0}"], {"sizes": [1]}, {}, "no such parameter"),
        (["{see}", "{lr}"], {"lr": 1}, {}, "Did you mean 'seed'?"),
        ([], {"lr": 1}, {}, "No placeholder of the command names the parameter 'lr'"),
        (["{a/b}"], {"a": {"b": 1, "c": 2}}, {}, "names the parameter 'a/c'"),
        (["{opt/beta}", "{opt/name}"], CONDITIONAL, {}, "some configurations have no parameter"),
        (["{opt/name}"], ALTERNATIVES, {}, "some configurations have no parameter 'opt/name'"),
        (["{seed}"], {"seed": 1}, {}, "'seed' has a reserved name"),
        ([], {"trial_dir": {"a": 1}}, {"params_by": "env"}, "'trial_dir' has a reserved name"),
        ([], {"lr": 1, "LR": 2}, {"params_by": "env"}, "LOCALTUNE_PARAM_LR"),
        ([], {"a/b": 1, "a": {"b": 2}}, {"params_by": "env"}, "the same name 'a/b'"),
        (["{f}"], {"f": tune.choice([1, print])}, {}, "'f' cannot be passed to a program"),
        (
            [],
            {},
            {"pattern": "(?P<acc>.)", "metric": "loss", "mode": "min"},
            "a group for the metric",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, words: list[str], space: dict[str, Any], options: dict[str, Any], text: str
) -> None:
    metric = {key: options[key] for key in ("metric", "mode") if key in options}
    rest = {key: value for key, value in options.items() if key not in metric}
    with pytest.raises(ValueError) as caught:
        make(tmp_path, words, space, **metric, **rest)
    assert text in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_wrapped_commands_are_checked_too() -> None:
    command = tune.with_resources(tune.Command(["sh", "{lr}"]), {"cpu": 1})
    with pytest.raises(ValueError, match="no such parameter"):
        tune.Tuner(command)
