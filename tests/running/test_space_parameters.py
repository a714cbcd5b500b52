"""The parameters that the configurations of a search space can have."""

from __future__ import annotations

from typing import Any

import pytest

import localtune as tune
from localtune.running.space_parameters import space_parameters


def described(space: dict[str, Any]) -> dict[str, str]:
    """{name: what is said about it}."""
    found = {}
    for each in space_parameters(space):
        words = ["always" if each.is_certain else "sometimes"]
        words += ["group"] if each.is_group else []
        words += ["open"] if each.is_open else []
        words += [f"{each.values}"] if each.values else []
        found["/".join(map(str, each.path))] = " ".join(words)
    return found


@pytest.mark.parametrize(
    ("space", "parameters"),
    [
        ({}, {}),
        (
            {"lr": tune.uniform(0, 1), "n": 3, "empty": {}},
            {"lr": "always", "n": "always (3,)", "empty": "always ({},)"},
        ),
        (
            {"model": {"lr": tune.uniform(0, 1), "kind": tune.choice(["a", "b"])}},
            {
                "model": "always group",
                "model/lr": "always",
                "model/kind": "always ('a', 'b')",
            },
        ),
        (
            {
                "opt": tune.grid_search(
                    [{"name": "sgd"}, {"name": "adam", "beta": tune.uniform(0, 1)}]
                )
            },
            {
                "opt": "always group",
                "opt/name": "always ('sgd', 'adam')",
                "opt/beta": "sometimes",
            },
        ),
        (
            {"opt": tune.choice(["none", {"lr": 1}])},
            {"opt": "always ('none',)", "opt/lr": "sometimes (1,)"},
        ),
        (
            {"a": tune.choice([tune.choice([{"x": 1}, {"x": 2}]), {"x": 3}])},
            {"a": "always group", "a/x": "always (1, 2, 3)"},
        ),
        ({"f": tune.sample_from(lambda: 1)}, {"f": "always open"}),
        ({"sizes": [8, tune.choice([1, 2])]}, {"sizes": "always"}),
        ({"sizes": [8, {"deep": [tune.uniform(0, 1)]}]}, {"sizes": "always"}),
        (
            {"grid_search": [{"x": 1}, {"x": 2, "y": 3}]},
            {"x": "always (1, 2)", "y": "sometimes (3,)"},
        ),
        ({"eval": 1}, {"eval": "always (1,)"}),
    ],
)
def test_parameters_of_a_space(space: dict[str, Any], parameters: dict[str, str]) -> None:
    assert described(space) == parameters
