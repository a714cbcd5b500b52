"""A run that the tests of all adapters make."""

from __future__ import annotations

from typing import Any

import localtune as tune


def loss_of(config: dict[str, Any]) -> float:
    return float((config["x"] - 0.3) ** 2)


def train(config: dict[str, Any]) -> None:
    tune.report({"loss": loss_of(config)})


def run_tuner(search_alg: Any, space: dict[str, Any], num_samples: int) -> tune.ResultGrid:
    """Runs trials in processes of their own, two at once, and checks what they have reported."""
    results = tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=search_alg,
            num_samples=num_samples,
            max_concurrent_trials=2,
            seed=1,
        ),
    ).fit()
    assert len(results) == num_samples
    for result in results:
        assert result.config is not None
        assert result.metrics is not None
        assert result.metrics["loss"] == loss_of(result.config)
    return results
