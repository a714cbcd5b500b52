"""Kills sweeps at random and compares what is left with sweeps that nobody disturbed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
from _soak_sweeps import SAMPLES, SURROUNDINGS, SWEEPS, Sweep

import localtune as tune
from localtune.execution.cluster.relay import AGENT_MODULE
from localtune.testing.local_clusters import KINDS, LocalCluster, local_cluster

PROGRAM = str(Path(__file__).with_name("_soak_sweeps.py"))
# Each is set up in its turn on a disk and in memory, where the machine has such a file system.
PLACES = [None, *(["/dev/shm"] if os.path.isdir("/dev/shm") else [])]


@dataclass
class Place:
    """Where the trials run.

    Attributes:
        kind: ``"processes"``, or a kind of a cluster.
        cluster: The cluster, if it is not a part of the sweep's own process.
    """

    kind: str
    cluster: LocalCluster | None = None

    @property
    def pace(self) -> float:
        """How much longer a sweep needs than with processes until its trials run."""
        return {"processes": 1.0, "agents": 2.0}.get(self.kind, 12.0)

    def kill(self, process_id: int) -> None:
        """Kills a process, or a node if the id is 0."""
        if process_id:
            os.kill(process_id, signal.SIGKILL)
        elif self.cluster is not None:
            self.cluster.kill_node()
            self.cluster.add_node()


def start(path: Path, sweep: Sweep, seed: int, place: Place) -> subprocess.Popen[bytes]:
    address = [] if place.cluster is None else [place.cluster.address]
    command = [sys.executable, PROGRAM, str(SWEEPS.index(sweep)), str(path), str(seed)]
    command += [place.kind, *address]
    with (path / "stderr").open("ab") as stderr, (path / "stdout").open("ab") as stdout:
        return subprocess.Popen(
            command,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=SURROUNDINGS[sweep.surroundings],
        )


def choose_victim(
    parent: subprocess.Popen[bytes], rng: random.Random, place: Place
) -> tuple[str, int] | None:
    """(what it is, process id), None if there is none of the kind that was drawn.

    The id of a node is 0.
    """
    has_agents = place.kind != "processes"
    kinds = {"parent": 10, "worker": 8, "template": 2, "guard": 1}
    kinds |= {"agent": 6 if has_agents else 0, "node": 6 if place.cluster is not None else 0}
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    if kind == "node":
        return kind, 0
    if kind == "parent":
        return kind, parent.pid
    with contextlib.suppress(psutil.Error):
        # The guard is a child of the parent, or of an agent. Its children are bases and templates,
        # and theirs are workers.
        level = agents() if has_agents else psutil.Process(parent.pid).children()
        if kind == "agent":
            return (kind, rng.choice(level).pid) if level else None
        if has_agents:
            level = [each for agent in level for each in agent.children()]
        for name in ("guard", "template", "worker"):
            if name == kind:
                if not level:
                    return None
                victim = rng.choice(level)
                is_base = kind == "template" and not victim.children()
                return "base" if is_base else kind, victim.pid
            level = [each for above in level for each in above.children()]
    return None


def agents() -> list[psutil.Process]:
    """The agents of the run, on all nodes."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if AGENT_MODULE in process.cmdline():
                found.append(process)
    return found


def disturb(
    path: Path,
    sweep: Sweep,
    seed: int,
    kills: Counter[str],
    limit: int,
    place: Place,
) -> None:
    """Runs one sweep to its end, killing on the way until ``limit`` kills are done in all."""
    rng = random.Random(f"{seed}/{sweep}")
    process = start(path, sweep, seed, place)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(place.pace * rng.uniform(0.15, 0.9))
        if process.returncode is None and sum(kills.values()) < limit:
            victim = choose_victim(process, rng, place)
            if victim is not None:
                with contextlib.suppress(ProcessLookupError):
                    place.kill(victim[1])
                    kills[victim[0]] += 1
        elif process.returncode == 0:
            return
        elif process.returncode == -signal.SIGKILL:
            process = start(path, sweep, seed, place)
        elif process.returncode is not None:
            sys.exit(f"The sweep in {path} failed:\n{(path / 'stderr').read_text()[-3000:]}")


def outcome(path: Path) -> tuple[int, str, float]:
    """(trials, their states, best score), after all else was checked.

    Raises:
        AssertionError: if a history, a checkpoint or the database is not as it must be.
    """
    experiment = path / "run"
    with contextlib.closing(sqlite3.connect(experiment / "experiment.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = dict(
            connection.execute("SELECT trial_id, count(*) FROM results GROUP BY trial_id")
        )
    analysis = tune.ExperimentAnalysis(str(experiment), default_metric="score", default_mode="max")
    for trial in analysis.trials:
        lines = Path(trial.path, "result.json").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        assert len(results) == counts[trial.trial_id] == trial.result_count, trial
        assert len(Path(trial.path, "progress.csv").read_text().splitlines()) == len(results) + 1
        if trial.start_point is None and "@perturbed" not in trial.experiment_tag:
            iterations = [each["training_iteration"] for each in results]
            assert iterations == list(range(1, len(results) + 1)), trial
        assert not list(Path(trial.path).glob(".staging*")), trial
        found = {each.name for each in Path(trial.path).glob("checkpoint_*")}
        assert found == {Path(each.checkpoint.path).name for each in trial.checkpoints}, trial
    states = Counter(str(trial.status) for trial in analysis.trials)
    best = analysis.best_result["score"]
    return len(analysis.trials), " ".join(f"{n} {s}" for s, n in sorted(states.items())), best


def left_over(path: Path) -> list[str]:
    """Processes that still work in a directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(path) in " ".join(process.cmdline()) or str(path) in process.cwd():
                found.append(str(process))
    return found


def soak(kill_count: int, seed: int, where: Place) -> None:
    kills: Counter[str] = Counter()
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        directories = [
            Path(stack.enter_context(tempfile.TemporaryDirectory("", "localtune-soak-", place)))
            for place in PLACES
        ]
        expected = {}
        for sweep in SWEEPS:
            if sweep.scheduler not in expected:
                path = directories[0] / f"undisturbed-{sweep.scheduler}"
                path.mkdir()
                disturb(path, sweep, seed, kills, 0, where)
                expected[sweep.scheduler] = outcome(path)
        sweeps = 0
        while sum(kills.values()) < kill_count:
            round_, number = divmod(sweeps, len(SWEEPS))
            sweep = SWEEPS[number]
            path = directories[(round_ + number) % len(directories)] / str(sweeps)
            path.mkdir()
            disturb(path, sweep, seed + sweeps, kills, kill_count, where)
            found = outcome(path)
            if found != expected[sweep.scheduler]:
                sys.exit(f"{path} ({sweep}): {found}, undisturbed {expected[sweep.scheduler]}")
            deadline = time.monotonic() + 20
            while (processes := left_over(path)) and time.monotonic() < deadline:
                time.sleep(0.1)
            if processes:
                sys.exit(f"{path} ({sweep}): processes are left over: {processes}")
            sweeps += 1
            print(
                f"{path} ({sweep}): {found[1]}, best {found[2]:g}; "
                f"{sum(kills.values())} kills so far",
                flush=True,
            )
    who = ", ".join(f"{count} of {kind}s" for kind, count in sorted(kills.items()))
    print(
        f"Survived {sum(kills.values())} kills ({who}) in {sweeps} sweeps of {SAMPLES} trials, "
        f"{time.monotonic() - started:.0f} s: same trials, histories and best as undisturbed."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills (default: 1)")
    parser.add_argument(
        "--executor",
        choices=["processes", *KINDS],
        default="processes",
        help="where trials run: all but processes are a cluster of three nodes on this machine",
    )
    given = parser.parse_args()
    if given.executor in ("processes", "agents"):
        soak(given.kills, given.seed, Place(given.executor))
        return
    with local_cluster(given.executor) as cluster:
        soak(given.kills, given.seed, Place(given.executor, cluster))


if __name__ == "__main__":
    main()
