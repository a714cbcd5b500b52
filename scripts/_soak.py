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
from collections.abc import Sequence
from pathlib import Path

import psutil
from _soak_sweeps import SAMPLES, SURROUNDINGS, SWEEPS, Sweep

import localtune as tune
from localtune.execution.cluster.relay import AGENT_MODULE

PROGRAM = str(Path(__file__).with_name("_soak_sweeps.py"))
# Each is set up in its turn on a disk and in memory, where the machine has such a file system.
PLACES = [None, *(["/dev/shm"] if os.path.isdir("/dev/shm") else [])]


def start(path: Path, sweep: Sweep, seed: int, executor: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, PROGRAM, str(SWEEPS.index(sweep)), str(path), str(seed), *executor]
    with (path / "stderr").open("ab") as stderr, (path / "stdout").open("ab") as stdout:
        return subprocess.Popen(
            command,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=SURROUNDINGS[sweep.surroundings],
        )


def choose_victim(
    parent: subprocess.Popen[bytes], rng: random.Random, *, has_agents: bool
) -> tuple[str, int] | None:
    """(what it is, process id), None if there is none of the kind that was drawn."""
    kinds = {"parent": 10, "worker": 8, "template": 2, "guard": 1, "agent": 6 if has_agents else 0}
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    if kind == "parent":
        return kind, parent.pid
    with contextlib.suppress(psutil.Error):
        # The guard is a child of the parent, or of an agent. Its children are bases and templates,
        # and theirs are workers.
        level = agents_of(parent) if has_agents else psutil.Process(parent.pid).children()
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


def agents_of(parent: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The agents of a run, on all nodes of this machine."""
    found = []
    for process in psutil.process_iter():
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
    executor: Sequence[str],
) -> None:
    """Runs one sweep to its end, killing on the way until ``limit`` kills are done in all."""
    rng = random.Random(f"{seed}/{sweep}")
    has_agents = executor[0] != "processes"
    process = start(path, sweep, seed, executor)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.15, 0.9))
        if process.returncode is None and sum(kills.values()) < limit:
            victim = choose_victim(process, rng, has_agents=has_agents)
            if victim is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim[1], signal.SIGKILL)
                    kills[victim[0]] += 1
        elif process.returncode == 0:
            return
        elif process.returncode == -signal.SIGKILL:
            process = start(path, sweep, seed, executor)
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


def soak(kill_count: int, seed: int, executor: Sequence[str]) -> None:
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
                disturb(path, sweep, seed, kills, 0, executor)
                expected[sweep.scheduler] = outcome(path)
        sweeps = 0
        while sum(kills.values()) < kill_count:
            round_, number = divmod(sweeps, len(SWEEPS))
            sweep = SWEEPS[number]
            path = directories[(round_ + number) % len(directories)] / str(sweeps)
            path.mkdir()
            disturb(path, sweep, seed + sweeps, kills, kill_count, executor)
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
        choices=["processes", "agents"],
        default="processes",
        help="where trials run: agents are nodes of a cluster on this machine",
    )
    given = parser.parse_args()
    soak(given.kills, given.seed, [given.executor])


if __name__ == "__main__":
    main()
