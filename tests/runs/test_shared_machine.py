"""Sweeps that share a machine, each a real parent with real workers, some of them killed."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.execution.shared.ledger import Ledger
from tests.heavy import long_but
from tests.runs.lifecycle.programs import (
    DEADLINE_S,
    START_METHODS,
    environment,
    run_for_json,
    wait_until,
)
from tests.tools.cli.command import for_json, localtune

# Each trial locks a file for each GPU and each CPU that it was given, as long as its process lives:
# a file that is locked already was given twice.
SCRIPT = """
import fcntl, json, os, sys
import localtune as tune

CPUS, GPUS = 3, 2
base, name, wants = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
options = json.loads(sys.argv[4])


def train(config):
    held = []

    def lock(name):
        descriptor = os.open(os.path.join(config["base"], "used", name), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        held.append(descriptor)
        return True

    gpus = [each for each in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if each]
    assert len(gpus) == config["wants"].get("gpu", 0), gpus
    for number in range(CPUS):
        if len(held) < config["wants"]["cpu"]:
            lock(f"cpu{number}")
    is_right = len(held) == config["wants"]["cpu"] and all(lock(f"gpu{gpu}") for gpu in gpus)
    state = "right" if is_right else "twice"
    open(os.path.join(config["base"], state, f"{config['name']}-{os.getpid()}"), "x").close()
    for step in range(3):
        tune.report({"step": step})


def has_lease(config):
    found = 0
    for entry in os.listdir("/dev/fd"):
        try:
            status = os.fstat(int(entry))
        except OSError:
            continue
        for each in os.scandir(config["ledger"]):
            if each.name.endswith(".lease"):
                found += each.inode() == status.st_ino
    tune.report({"leases": found})


class Reused(tune.Trainable):
    def step(self):
        descriptor = os.open(os.path.join(self.config["base"], "reused"), os.O_WRONLY | os.O_CREAT)
        os.close(descriptor)
        return {"done": True}

    def reset_config(self, config):
        return True


class WhenSeen(tune.Stopper):
    def __call__(self, trial_id, result):
        return False

    def stop_all(self):
        return os.path.exists(options["until"])


if __name__ == "__main__":
    ledger = os.path.join(base, "ledger")
    trainable = {"looks": has_lease, "reuses": Reused}.get(options.get("does"), train)
    results = tune.Tuner(
        tune.with_resources(trainable, wants),
        param_space={"base": base, "name": name, "wants": wants, "ledger": ledger},
        tune_config=tune.TuneConfig(
            num_samples=options.get("samples", -1), reuse_actors=trainable is Reused
        ),
        run_config=tune.RunConfig(
            storage_path=os.path.join(base, "results"),
            name=name,
            verbose=0,
            stop=WhenSeen() if "until" in options else None,
        ),
        executor=tune.ProcessExecutor(
            CPUS, GPUS, shared=ledger, start_method=options.get("start_method")
        ),
    ).fit()
    assert not results.errors, results.errors[0]
    print(json.dumps([result.metrics for result in results]))
"""


class Machine:
    """A directory that stands for the machine, and the sweeps on it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for name in ("ledger", "used", "right", "twice"):
            (base / name).mkdir(mode=0o700)
        (base / "sweep.py").write_text(SCRIPT)

    def arguments(self, name: str, wants: dict[str, float], **options: Any) -> list[str]:
        return [
            *(str(self.base / "sweep.py"), str(self.base), name),
            *(json.dumps(wants), json.dumps(options)),
        ]

    @contextlib.contextmanager
    def running(
        self, name: str, wants: dict[str, float], **options: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        with open(self.base / f"output-{name}", "wb") as output:
            process = subprocess.Popen(
                [sys.executable, *self.arguments(name, wants, **options)],
                cwd=self.base,
                env=environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def trials_of(self, name: str) -> int:
        """The number of trials of a sweep that have started, and got what they asked for."""
        return len(list((self.base / "right").glob(f"{name}-*")))

    def wait_for(self, name: str, count: int) -> None:
        """Waits until a sweep has started so many more trials."""
        enough = self.trials_of(name) + count
        wait_until(lambda: self.trials_of(name) >= enough, f"{name} goes on")

    def check_all_is_free(self) -> None:
        """Nothing was given twice, and nothing is left of the sweeps that have ended."""
        assert list((self.base / "twice").iterdir()) == []
        ledger = Ledger(str(self.base / "ledger"))
        wait_until(lambda: not ledger.entries(removes=True), "the last process has gone")
        assert [path.suffix for path in (self.base / "ledger").iterdir()] == [".lock"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("seed", long_but([0], range(2)))
def test_sweeps_that_are_killed_at_random_take_nothing_twice_and_leave_nothing(
    machine: Machine, seed: int
) -> None:
    chance = random.Random(seed)
    kinds: list[dict[str, float]] = [{"cpu": 1, "gpu": 1}, {"cpu": 1}, {"cpu": 2}]
    with contextlib.ExitStack() as stack:
        sweeps = {}
        for number in range(6):
            name = f"s{number}"
            sweeps[name] = stack.enter_context(machine.running(name, kinds[number % 3]))
            if len(sweeps) < 3:
                continue
            victim = chance.choice(sorted(sweeps))
            machine.wait_for(victim, chance.randrange(1, 8))
            assert all(sweep.poll() is None for sweep in sweeps.values())
            sweeps.pop(victim).send_signal(signal.SIGKILL)
        # Those that live go on, with what the others have left.
        for name in sweeps:
            machine.wait_for(name, 5)
    machine.check_all_is_free()


def test_a_trial_that_needs_the_whole_machine_gets_it_from_a_sweep_without_end(
    machine: Machine,
) -> None:
    seen = machine.base / "seen"
    with machine.running("small", {"cpu": 1}, until=str(seen)) as small:
        wait_until(lambda: machine.trials_of("small") > 3, "the machine is full")
        run_for_json(machine.arguments("large", {"cpu": 3, "gpu": 2}, samples=2), machine.base)
        assert small.poll() is None
        assert machine.trials_of("large") == 2
        seen.touch()
        assert small.wait(DEADLINE_S) == 0, (machine.base / "output-small").read_text()
    machine.check_all_is_free()


def test_a_sweep_whose_workers_go_on_to_the_next_trial_lets_others_have_their_turn(
    machine: Machine,
) -> None:
    seen, reused = machine.base / "seen", machine.base / "reused"
    with machine.running("first", {"cpu": 3}, does="reuses", until=str(seen)) as first:
        wait_until(reused.exists, "its only worker runs")
        run_for_json(machine.arguments("second", {"cpu": 3}, samples=3), machine.base)
        assert machine.trials_of("second") == 3
        reused.unlink()
        wait_until(reused.exists, "the first one goes on")
        seen.touch()
        assert first.wait(DEADLINE_S) == 0, (machine.base / "output-first").read_text()
    machine.check_all_is_free()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_each_worker_holds_the_lease_until_it_ends(machine: Machine, start_method: str) -> None:
    arguments = machine.arguments(
        "one", {"cpu": 1}, samples=2, does="looks", start_method=start_method
    )
    for metrics in run_for_json(arguments, machine.base):
        assert metrics["leases"] == 1
    machine.check_all_is_free()


WAITING = """
import os, time
import localtune as tune


def train(config):
    while not os.path.exists(config["go"]):
        time.sleep(0.01)
    tune.report({"loss": 1})
"""


def test_slots_show_sweeps_of_the_command_line_that_hold_and_wait(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(WAITING)
    go = tmp_path / "go"
    (tmp_path / "ledger").mkdir(mode=0o700)
    arguments = [
        *("-m", "localtune", "run", "job.py:train", "--param", f"go={go}", "--verbose", "0"),
        *("--storage", str(tmp_path / "results"), "--ledger", "ledger"),
    ]

    def shown() -> list[dict[str, Any]]:
        sweeps: list[dict[str, Any]] = for_json(tmp_path, "slots", "--ledger", "ledger")["sweeps"]
        return sweeps

    def begin(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments, "--name", name, "--resources", "memory=1e9,cpu=0.001"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
        )

    with begin("first") as first:
        wait_until(lambda: [each for each in shown() if each["trials"]], "the first one holds")
        (sweep,) = shown()
        assert (sweep["pid"], sweep["holds"]["memory"]) == (first.pid, 1e9)
        assert sweep["command"].startswith("localtune run job.py:train")
        go.touch()
        assert first.wait(DEADLINE_S) == 0
    assert shown() == []
    # It goes on as it began.
    saved = json.loads((tmp_path / "results" / "first" / "command.json").read_bytes())
    assert saved["shared"] == str(tmp_path / "ledger")
    assert localtune(tmp_path, "resume", str(tmp_path / "results" / "first")).returncode == 0
