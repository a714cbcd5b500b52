"""What schedulers and searchers save, on learning curves of real networks.

400 networks were trained for 50 iterations each (``localtune.testing.curves``). Each method has
1,500 iterations, as much as 30 whole trainings, on 4 virtual CPUs; new configurations come as long
as there is budget. Asked is when it first sees an accuracy within 1 % of the best in the table:
after how many iterations, all trials together, and after how many virtual seconds. Random search
that trains each configuration to the end is the floor. A run that never comes so far counts with
its whole budget. All schedulers have their default settings, but the median rule has a grace
period of 5 iterations and lets nobody take turns: as long as new trials come, it would train all of
them a little, and few to the end. With one seed, methods of random search see the same
configurations in the same order.

A trial replays the curve that is nearest to its configuration, of those that no trial of the run
has replayed. If many could replay the same one, a searcher would be punished for asking near what
was good: it would get nothing but the same numbers again.

Population based training is asked something else: a problem whose best setting falls while it
trains, where the best constant setting is no good.

    python quality.py --plot ../../docs/images/quality.svg

The plot shows the median of the first 20 seeds, whose runs then go on to the end of the budget.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from _chart import chart
from _common import options, verdict

import localtune as tune
from localtune.schedulers import (
    ASHAScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PASHAScheduler,
    PopulationBasedTraining,
)
from localtune.search.bohb import TuneBOHB
from localtune.search.optuna import OptunaSearch
from localtune.stopper import Stopper
from localtune.testing.curves import ROW, Curves, digits_curves
from localtune.testing.simulation import simulate
from localtune.testing.simulation_result import SimulationResult

BUDGET = 1_500
CPUS = 4
WHOLE = 50  # iterations of a whole training
NEAR = 0.01
# Seed 1 would draw the very configurations that were recorded.
FIRST_SEED = 101
PLOTTED = 20

FLOOR = "random"
METHODS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    FLOOR: (lambda: None, lambda: None),
    "median rule": (
        lambda: MedianStoppingRule(
            time_attr="training_iteration", grace_period=5, min_time_slice=WHOLE
        ),
        lambda: None,
    ),
    "HyperBand": (lambda: HyperBandScheduler(max_t=WHOLE), lambda: None),
    "ASHA": (lambda: ASHAScheduler(max_t=WHOLE), lambda: None),
    "ASHA, promotion": (lambda: ASHAScheduler(max_t=WHOLE, type="promotion"), lambda: None),
    "PASHA": (lambda: PASHAScheduler(max_t=WHOLE), lambda: None),
    "BOHB": (lambda: HyperBandForBOHB(max_t=WHOLE), TuneBOHB),
    "TPE": (lambda: None, OptunaSearch),
    "TPE + ASHA": (lambda: ASHAScheduler(max_t=WHOLE), OptunaSearch),
}


class Budget(Stopper):
    """Ends the run after so many results, or when one is good enough."""

    def __init__(self, results: int, wanted: float) -> None:
        self._left = results
        self._wanted = wanted

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._left -= 1
        if result["accuracy"] >= self._wanted:
            self._left = 0
        return False

    def stop_all(self) -> bool:
        return self._left <= 0


class EachOnce:
    """Makes trainables that replay the nearest curve that is left; if none is, all come again.

    Args:
        curves: To replay.
    """

    def __init__(self, curves: Curves) -> None:
        self._curves = curves
        self._taken: set[int] = set()
        self._row_of: dict[tuple[Any, ...], int] = {}  # {values of a config: its row}

    def __call__(self, config: dict[str, Any]) -> Any:
        # A trial that was paused is made again, and goes on along its own curve.
        values = tuple(config[name] for name in self._curves.parameters)
        if values not in self._row_of:
            if len(self._taken) == len(self._curves):
                self._taken.clear()
            row = self._curves.nearest(config, without=self._taken)
            self._taken.add(row)
            self._row_of[values] = row
        return self._curves.trainable({ROW: self._row_of[values]})


@dataclass
class Measured:
    """What the runs of one method needed, one value per seed."""

    iterations: Sequence[float]
    seconds: Sequence[float]
    missed: int
    cpu_s: float


def measure(curves: Curves, method: str, seeds: Sequence[int], wanted: float) -> Measured:
    """Runs one method with each seed until an accuracy is seen."""
    started = time.process_time()
    runs = [sweep(curves, method, seed, wanted) for seed in seeds]
    missed = sum(run.best_value is None or run.best_value < wanted for run in runs)
    # A result that came in the same moment as the last one may be in the count.
    iterations = [min(run.iterations, BUDGET) for run in runs]
    seconds = [run.elapsed_s for run in runs]
    return Measured(iterations, seconds, missed, time.process_time() - started)


def sweep(curves: Curves, method: str, seed: int, wanted: float = math.inf) -> SimulationResult:
    """One run, until an accuracy is seen or the budget is used up."""
    make_scheduler, make_searcher = METHODS[method]
    return simulate(
        EachOnce(curves),
        curves.param_space,
        metric="accuracy",
        mode="max",
        num_samples=-1,
        num_cpus=CPUS,
        scheduler=make_scheduler(),
        search_alg=make_searcher(),
        stop=Budget(BUDGET, wanted),
        seed=seed,
    )


def regret_curve(runs: Sequence[SimulationResult], best: float) -> list[tuple[float, float]]:
    """(iterations, median over the runs of what is missing to the best, in percent)."""
    known = [[each.iterations for each in run.improvements] for run in runs]
    points: list[tuple[float, float]] = []
    for iterations in sorted({number for numbers in known for number in numbers}):
        missing = []
        for run, numbers in zip(runs, known, strict=True):
            at = bisect_right(numbers, iterations)
            missing.append(100 * (1 - (run.improvements[at - 1].value if at else 0.0) / best))
        points.append((iterations, statistics.median(missing)))
    return points


class MovingOptimum:
    """Each step gains the more, the nearer ``rate`` is to a best one that falls as it goes on."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.rate = config["rate"]
        self.height, self.steps = 0.0, 0

    def step(self) -> dict[str, Any]:
        best = 1.0 / (1.0 + self.steps / 10)
        self.steps += 1
        self.height += max(0.0, 1.0 - 4.0 * abs(self.rate - best))
        # In lockstep, whoever reports first would always be ahead.
        took_s = 1.0 + 0.2 * random.Random(self.rate).random()
        return {"height": self.height, "done": self.steps >= 60, "time_this_iter_s": took_s}

    def get_state(self) -> tuple[float, int]:
        return self.height, self.steps

    def set_state(self, state: tuple[float, int]) -> None:
        self.height, self.steps = state


def population(seed: int, *, exploits: bool) -> float:
    """The greatest height in a population of eight."""
    rate = tune.uniform(0.01, 1.0)
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"rate": rate},
    )
    run = simulate(
        MovingOptimum,
        {"rate": rate},
        metric="height",
        mode="max",
        num_samples=8,
        num_cpus=8,
        scheduler=scheduler if exploits else None,
        seed=seed,
    )
    assert run.best_value is not None
    return run.best_value


def main() -> None:
    given = options(__doc__, seeds=100, plot="")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(FIRST_SEED, FIRST_SEED + given.seeds)
    curves = digits_curves()
    best = max(max(curves.values(row, "accuracy")) for row in range(len(curves)))
    results = {name: measure(curves, name, seeds, best * (1 - NEAR)) for name in METHODS}

    def ratio(name: str, what: str, middle: Callable[[Sequence[float]], float]) -> float:
        return middle(getattr(results[name], what)) / middle(getattr(results[FLOOR], what))

    print(
        f"quality       until within {NEAR:.0%} of the best, {given.seeds} seeds: "
        "median (the same, and the mean, by random search's)\n"
        f"{'':<13} {'':<16} {'iterations':>20} {'virtual seconds':>20}  never  processor time"
    )
    for name, each in results.items():
        line = f"{'':<13} {name:<16}"
        for what, digits in (("iterations", 0), ("seconds", 2)):
            median = f"{statistics.median(getattr(each, what)):.{digits}f}"
            by_median = ratio(name, what, statistics.median)
            line += f" {median:>7} ({by_median:.2f}, {ratio(name, what, statistics.mean):.2f})"
        print(f"{line}  {each.missed:5}  {each.cpu_s:12.0f} s")
    for name, target in (("ASHA", 1 / 3), ("ASHA, promotion", 1 / 3), ("TPE", 1.0)):
        verdict(
            f"budget of {name} by random search's",
            ratio(name, "iterations", statistics.mean),
            at_most=round(target, 2),
            detail=f"means; medians {ratio(name, 'iterations', statistics.median):.2f}",
        )
    ratios = [population(s, exploits=True) / population(s, exploits=False) for s in seeds]
    verdict(
        "score of PBT by its population's without it",
        statistics.median(ratios),
        at_least=1.0,
        detail=f"median; {min(ratios):.2f} to {max(ratios):.2f}",
    )
    if given.plot:
        text = chart(
            {
                name: regret_curve([sweep(curves, name, seed) for seed in seeds[:PLOTTED]], best)
                for name in METHODS
            },
            x_label="iterations of training, all trials together",
            y_label="accuracy missing to the best, percent",
            x_ticks=(10, 20, 50, 100, 200, 500, 1000, 1500),
            y_ticks=(0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
        )
        Path(given.plot).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
