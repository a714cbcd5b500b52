"""Processor time per trial of a sweep with OptunaSearch, against plain Optuna with that sampler.

Plain Optuna calls the objective itself, keeps its trials in memory and writes nothing. The sweep's
trials reuse two workers, and its figure is that of the parent: from the end of the first trial to
that of the last one. Second claim: how much more a trial of the last hundred costs than one of the
first hundred, against the same of plain Optuna, whose model grows with the trials.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import optuna
from _common import SLOTS, in_turn, median_ratio, middle, options, sweep, verdict

import localtune as tune
from localtune.search.optuna import OptunaSearch

TARGET = 1.5
TARGET_GROWTH = 1.2
ENDS = 100  # so many trials are the first and the last ones
SEED = 1


class Bowl(tune.Trainable):
    """One step of a trivial function of three parameters."""

    def setup(self, config: dict[str, Any]) -> None:
        self.config = config

    def step(self) -> dict[str, Any]:
        """The value."""
        config = self.config
        loss = (config["x"] - 0.3) ** 2 + (config["y"] - 0.1) ** 2 + config["n"]
        return {"loss": loss, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes another configuration."""
        self.config = new_config
        return True


class CpuTimes(tune.Callback):
    """Notes the processor time of this process at the end of each trial."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_trial_complete(self, *args: Any, **info: Any) -> None:
        self.ends.append(time.process_time())


def of_sweep(trials: int) -> list[float]:
    """Processor time at the end of each trial of a sweep."""
    times = CpuTimes()
    space = {
        "x": tune.uniform(0.0, 1.0),
        "y": tune.loguniform(1e-3, 1.0),
        "n": tune.choice([1, 2, 3]),
    }
    sweep(
        Bowl,
        trials,
        param_space=space,
        search_alg=OptunaSearch(seed=SEED),
        metric="loss",
        mode="min",
        reuse_actors=True,
        max_concurrent_trials=SLOTS,
        callbacks=[times],
    )
    return times.ends


def of_optuna(trials: int) -> list[float]:
    """Processor time at the end of each trial of a study."""

    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 1e-3, 1.0, log=True)
        n: int = trial.suggest_categorical("n", [1, 2, 3])
        return (x - 0.3) ** 2 + (y - 0.1) ** 2 + n

    ends: list[float] = []
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(
        objective, trials, callbacks=[lambda study, trial: ends.append(time.process_time())]
    )
    return ends


def per_trial_ms(ends: list[float]) -> float:
    """Milliseconds per trial."""
    return (ends[-1] - ends[0]) / (len(ends) - 1) * 1000


def growth(ends: list[float]) -> float:
    """Time of one of the last trials by that of one of the first."""
    return per_trial_ms(ends[-ENDS:]) / per_trial_ms(ends[:ENDS])


def main() -> None:
    given = options(__doc__, rounds=5, trials=1000)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    growths: dict[str, list[float]] = {"plain": [], "ours": []}

    def measured(who: str, ends: list[float]) -> float:
        growths[who].append(growth(ends))
        return per_trial_ms(ends)

    plain, ours = in_turn(
        given.rounds,
        lambda: measured("plain", of_optuna(given.trials)),
        lambda: measured("ours", of_sweep(given.trials)),
    )
    verdict(
        f"processor time per trial / Optuna, {given.trials:,} trials",
        median_ratio(ours, plain),
        at_most=TARGET,
        detail=f"{middle(ours, 'ms', 2)}; Optuna {middle(plain, 'ms', 2)}",
    )
    of_plain, of_ours = (statistics.median(each) for each in growths.values())
    verdict(
        f"last {ENDS} trials / first {ENDS}, by the same of Optuna",
        median_ratio(growths["ours"], growths["plain"]),
        at_most=TARGET_GROWTH,
        detail=f"{of_ours:.2f}; Optuna {of_plain:.2f}",
    )


if __name__ == "__main__":
    main()
