"""How large a cluster one parent feeds: its time per result, and the idle share of 8,000 slots.

10, 100 and 1,000 nodes of 8 slots; the controller, the scheduler and the recorder are real
(``_paced.py``). Trials replay recorded networks of 50 steps, stretched. When the run begins, its
first trials are at any step. A node stays for ten times as long as a trial takes on average, and
is replaced at once when it is lost: its trials go on elsewhere.

Asked is first the parent's processor time per result, when steps take so long that the parent is
no limit. Times the number of slots, this is the mean time between two results of a trial from which
on the parent is the limit. Then the idle share of the slots is measured around that limit. Not
counted is what the parent spends to start processes, and for messages between machines.

    python cluster_simulation.py --plot ../../docs/images/cluster.svg
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _chart import chart
from _common import options, scratch_dir, verdict
from _paced import Meter, PacedExecutor, stretched

import localtune as tune
from localtune.execution.simulated_cluster import SimulatedCluster, SimulatedNode
from localtune.schedulers import ASHAScheduler, PopulationBasedTraining
from localtune.stopper import Stopper
from localtune.testing.curves import CurveTrainable, digits_curves

SLOTS = 8  # of a node
NODES = (10, 100, 1_000)
STEPS = 50
MEAN_STEP_S = 0.017  # of the recorded networks
# Nodes whose slots all hold trials of one population: it is compared as a whole.
LARGEST_POPULATION = 100
# Growth of the time per result, from 10 to 1,000 nodes.
TARGET = 1.5
# Far from the limit, a trial has a result so seldom, in multiples of the limit of 5,000 results/s.
UNHURRIED = 10.0
# Points of the plot, in multiples of the measured limit.
AROUND = (0.25, 0.7, 2.0, 8.0)

SCHEDULERS: dict[str, Callable[[], Any]] = {
    "FIFO": lambda: None,
    "ASHA": lambda: ASHAScheduler(max_t=STEPS, grace_period=2),
    "PBT": lambda: PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"row": list(range(len(digits_curves())))},
    ),
}


class PacedCluster(PacedExecutor, SimulatedCluster):
    """A simulated cluster whose clock passes while the parent works."""


class Saved(tune.Trainable):
    """Stands for a trainable that saves checkpoints; it is never made."""

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tells that checkpoints are possible."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Tells that checkpoints are possible."""


class EndAfter(Stopper):
    """Ends the run when a meter has seen so many results."""

    def __init__(self, meter: Meter, results: int) -> None:
        self._meter = meter
        self._results = results

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._meter.count >= self._results


def nodes_that_change(count: int, stay_s: float, until_s: float) -> list[SimulatedNode]:
    """Returns nodes of which so many are there at any time."""
    rng = random.Random(1)
    nodes = []
    for _ in range(count):
        joins_s = 0.0
        while joins_s < until_s:
            leaves_s = joins_s + rng.expovariate(1 / stay_s)
            nodes.append(SimulatedNode(SLOTS, joins_s=joins_s, leaves_s=leaves_s))
            joins_s = leaves_s
        nodes.append(SimulatedNode(SLOTS, joins_s=joins_s))
    return nodes


def begun(make: Callable[[dict[str, Any]], CurveTrainable], trials: int) -> Any:
    """Returns what makes trials, of which the first ones are at any step already."""
    rng = random.Random(2)
    left = trials

    def make_begun(config: dict[str, Any]) -> CurveTrainable:
        nonlocal left
        trainable = make(config)
        if left:
            left -= 1
            trainable.set_state(rng.randrange(STEPS - 1))
        return trainable

    return make_begun


def run(scheduler: str, nodes: int, interval_s: float) -> Meter:
    """Runs a cluster for a while.

    Args:
        scheduler: One of :data:`SCHEDULERS`.
        nodes: Number of nodes.
        interval_s: Mean seconds between two results of a trial.
    """
    slots = nodes * SLOTS
    curves = digits_curves()
    make = stretched(curves, interval_s / MEAN_STEP_S)
    # A population begins together; all others are in the steady state when they begin.
    is_population = scheduler == "PBT"
    first = (5 if is_population else 2) * slots
    last = first + min(4_000, 30 * slots)
    stay_s = 10 * STEPS * interval_s
    executor = PacedCluster(
        make if is_population else begun(make, slots),
        nodes_that_change(nodes, stay_s, 3 * last / slots * interval_s + 60.0),
        notice_s=10.0,
    )
    meter = Meter(executor.work_clock, first, last)
    with scratch_dir() as directory:
        tune.Tuner(
            Saved,
            param_space=curves.table_space,
            tune_config=tune.TuneConfig(
                num_samples=slots if is_population else -1,
                metric="accuracy",
                mode="max",
                scheduler=SCHEDULERS[scheduler](),
                seed=1,
            ),
            run_config=tune.RunConfig(
                storage_path=os.fspath(directory),
                verbose=0,
                callbacks=[meter],
                stop=EndAfter(meter, last),
            ),
            executor=executor,
        ).fit()
    assert meter.count >= last, f"The run has ended after {meter.count} results."
    return meter


def idle_share(meter: Meter, nodes: int) -> float:
    """Returns the share of the time in which the slots wait for the parent."""
    return max(1 - meter.steps_s / (nodes * SLOTS * meter.elapsed_s), 0.0)


def main() -> None:
    given = options(__doc__, nodes=max(NODES), plot="")
    sizes = [nodes for nodes in NODES if nodes <= given.nodes]
    began = time.monotonic()
    costs_s: dict[tuple[str, int], float] = {}
    for scheduler in SCHEDULERS:
        measured = [nodes for nodes in sizes if scheduler != "PBT" or nodes <= LARGEST_POPULATION]
        for nodes in measured:
            meter = run(scheduler, nodes, UNHURRIED * nodes * SLOTS / 5_000)
            costs_s[scheduler, nodes] = cost_s = meter.work_per_result_s
            print(
                f"{'':<13} {scheduler:<5} {nodes:>5,} nodes: {cost_s * 1e3:.2f} ms per result, "
                f"{1 / cost_s:,.0f} results/s; the parent is the limit below "
                f"{cost_s * nodes * SLOTS:.2g} s between two results of a trial; "
                f"{idle_share(meter, nodes):.1%} idle at {UNHURRIED * nodes * SLOTS / 5_000:.2g} s",
                flush=True,
            )
        verdict(
            f"{scheduler}: time per result, {measured[-1]:,} / {measured[0]:,} nodes",
            costs_s[scheduler, measured[-1]] / costs_s[scheduler, measured[0]],
            at_most=TARGET,
        )
    curves: dict[str, list[tuple[float, float]]] = {}
    for nodes in sizes:
        limit_s = costs_s["FIFO", nodes] * nodes * SLOTS
        points = []
        for factor in AROUND:
            meter = run("FIFO", nodes, limit_s * factor)
            points.append((limit_s * factor, 100 * idle_share(meter, nodes)))
        curves[f"{nodes * SLOTS:,} slots"] = points
        listed = ", ".join(f"{share:.0f} % at {at_s:.2g} s" for at_s, share in points)
        print(f"{'':<13} {nodes * SLOTS:,} slots are idle: {listed}", flush=True)
    print(f"{'':<13} all took {time.monotonic() - began:.0f} s")
    if given.plot:
        text = chart(
            curves,
            x_label="mean seconds between two results of a trial",
            y_label="idle share of the slots, percent",
            x_ticks=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
            y_ticks=(0.5, 1, 2, 5, 10, 20, 50, 100),
            joins_points=True,
        )
        Path(given.plot).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
