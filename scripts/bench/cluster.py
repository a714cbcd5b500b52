"""Trials and results on the three nodes of a cluster, against processes of one machine.

::

      ProcessExecutor        three slots in the agent-less form: the floor
      ClusterExecutor        three nodes of one slot, all on this machine
        local                agents only, no cluster software: what agents and their threads cost
        ray, dask            a cluster of its own, with three nodes of one CPU

For each engine: fresh trials and reused ones per second, by those of ProcessExecutor in the same
run; the time from a result to the next one of a single trial; bytes per result in both directions;
and the time that a trial takes to go on from another node's checkpoint of 100 MB, by that with
ProcessExecutor. For Ray also: fresh trials per second by those of Ray Tune on the same cluster, and
the time from result to result by that of a bare call of an actor.

``--engines local,ray`` runs only these; an engine that is not installed is left out.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

from _clusters import CLUSTERS, NODES, Counted, Subject
from _common import Stopwatch, in_turn, median_ratio, middle, options, rate, scratch_dir, verdict
from _trainables import Cloned, Reusable, report_often, report_once

import localtune as tune
from localtune.execution.cluster.engine import Engine
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.executor import Executor
from localtune.schedulers import FIFOScheduler

TARGET_FRESH = TARGET_REUSED = 0.5
TARGET_RAY_TUNE = 30.0
TARGET_CALL = 3.0
CHECKPOINT_BYTES = 100_000_000


# -- measurements ----------------------------------------------------------------------------------


def run(trainable: Any, trials: int, executor: Executor, **tune_options: Any) -> Stopwatch:
    """Runs a sweep on an executor; checks that no trial failed."""
    stopwatch = Stopwatch()
    callbacks = [stopwatch, *tune_options.pop("callbacks", [])]
    with scratch_dir() as directory:
        results = tune.Tuner(
            trainable,
            param_space={"x": tune.uniform(0.0, 1.0)},
            tune_config=tune.TuneConfig(num_samples=trials, **tune_options),
            run_config=tune.RunConfig(storage_path=directory, verbose=0, callbacks=callbacks),
            executor=executor,
        ).fit()
    assert results.num_terminated == trials, results.errors[:1]
    # Engines of earlier rounds must not cost anything in the next one.
    gc.collect()
    return stopwatch


def processes() -> Executor:
    """The floor: as many slots, without agents."""
    return tune.ProcessExecutor(num_cpus=NODES)


def fresh_rate(make: Callable[[], Executor], trials: int) -> float:
    """Trials per second, each in a fresh process."""
    return rate(run(report_once, trials, make()).ends)


def reused_rate(make: Callable[[], Executor], trials: int) -> float:
    """Trials per second with reused workers."""
    return rate(run(Reusable, trials, make(), reuse_actors=True).ends)


def result_s(make: Callable[[], Executor], results: int) -> float:
    """Median seconds from a result to the next one of a single trial."""
    times = run(tune.with_parameters(report_often, results=results), 1, make()).results
    return statistics.median(b - a for a, b in itertools.pairwise(times))


class CloneOnce(FIFOScheduler):
    """Lets the second trial go on from the first one's checkpoint."""

    def __init__(self) -> None:
        self.asked_at = self.ended_at = 0.0

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        donor, other = tune_controller.get_trials()
        if trial is donor:
            return self.STOP if self.ended_at else self.CONTINUE
        if donor.resume_point is None:
            return self.CONTINUE
        if self.asked_at:
            self.ended_at = time.perf_counter()
            return self.STOP
        self.asked_at = time.perf_counter()
        config = {**other.config, "x": 0.5}
        tune_controller.clone_trial(other, donor, config=config, experiment_tag="cloned")
        return self.NOOP

    def get_state(self) -> dict[str, Any]:
        return {}


def clone_s(make: Callable[[], Executor]) -> float:
    """Seconds from the wish for a clone until its first result."""
    scheduler = CloneOnce()
    trainable = tune.with_parameters(Cloned, size_bytes=CHECKPOINT_BYTES)
    run(trainable, 2, make(), scheduler=scheduler)
    return scheduler.ended_at - scheduler.asked_at


class BytesPerResult(tune.Callback):
    """Reads the counts at the first and the last result."""

    def __init__(self, engine: Counted) -> None:
        self._engine = engine
        self._readings: list[tuple[int, int]] = []

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        self._readings.append((self._engine.sent, self._engine.received))

    def figures(self) -> tuple[float, float]:
        """Returns bytes to the agent and from it, per result."""
        (sent, received), (sent_at_end, received_at_end) = self._readings[0], self._readings[-1]
        count = len(self._readings) - 1
        return (sent_at_end - sent) / count, (received_at_end - received) / count


def bytes_per_result(make: Callable[[], Engine], results: int) -> tuple[float, float]:
    """Returns bytes to the agent and from it, per result."""
    counted = Counted(make())
    reader = BytesPerResult(counted)
    trainable = tune.with_parameters(report_often, results=results)
    run(trainable, 1, ClusterExecutor(counted), callbacks=[reader])
    return reader.figures()


# -- claims ----------------------------------------------------------------------------------------


def measure(subject: Subject, rounds: int, trials: int) -> None:
    """Measures one engine and prints its claims."""
    name = subject.name

    def cluster() -> Executor:
        return ClusterExecutor(subject.make())

    for what, measured, count, target in (
        ("fresh", fresh_rate, trials, TARGET_FRESH),
        ("reused", reused_rate, 5 * trials, TARGET_REUSED),
    ):
        floors, subjects = in_turn(
            rounds,
            lambda: measured(processes, count),  # noqa: B023
            lambda: measured(cluster, count),  # noqa: B023
        )
        verdict(
            f"{name}: {what} trials per second / ProcessExecutor",
            median_ratio(subjects, floors),
            at_least=target,
            detail=f"{middle(subjects, 'trials/s')}; processes {middle(floors, 'trials/s')}",
        )
    if subject.peer_rate is not None:
        peers = [subject.peer_rate(12)]
        rates = [fresh_rate(cluster, trials)]
        verdict(
            f"{name}: fresh trials per second / Ray Tune",
            median_ratio(rates, peers),
            at_least=TARGET_RAY_TUNE,
            detail=f"{middle(rates, 'trials/s')}; Ray Tune {middle(peers, 'trials/s', 2)}",
        )
    calls = subject.call_s or (lambda count: result_s(processes, count))
    floors, subjects = in_turn(rounds, lambda: calls(500), lambda: result_s(cluster, 500))
    verdict(
        f"{name}: result to result / {'bare call' if subject.call_s else 'ProcessExecutor'}",
        median_ratio(subjects, floors),
        at_most=TARGET_CALL,
        detail=f"{middle([1e3 * each for each in subjects], 'ms', 2)}; "
        f"floor {middle([1e3 * each for each in floors], 'ms', 2)}",
    )
    sent, received = bytes_per_result(subject.make, 500)
    print(f"{'':<13} {name}: {sent:.0f} bytes to the agent and {received:.0f} from it per result")
    floor_s, subject_s = clone_s(processes), clone_s(cluster)
    print(
        f"{'':<13} {name}: a clone from another node's checkpoint of "
        f"{CHECKPOINT_BYTES / 1e6:.0f} MB takes {subject_s:.2f} s; with ProcessExecutor "
        f"{floor_s:.2f} s"
    )


def main() -> None:
    given = options(__doc__, engines=",".join(CLUSTERS), rounds=3, trials=60)
    for name in given.engines.split(","):
        package, cluster = CLUSTERS[name]
        if importlib.util.find_spec(package) is None:
            print(f"{'cluster':<13} {name} is not installed: left out")
            continue
        with cluster() as subject:
            measure(subject, given.rounds, given.trials)


if __name__ == "__main__":
    main()
