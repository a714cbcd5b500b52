"""A run that is told to end checkpoints what runs, and can be taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import localtune as tune
from tests.small_runs import rows

PROGRAM = """
import sys
import time

import localtune as tune


class Slow(tune.Trainable):
    def setup(self, config):
        self.count = 0

    def step(self):
        time.sleep(0.05)
        self.count += 1
        return {"count": self.count, "done": self.count >= self.config["steps"]}

    def save_checkpoint(self, checkpoint_dir):
        return {"count": self.count}

    def load_checkpoint(self, checkpoint):
        self.count = checkpoint["count"]


if __name__ == "__main__":
    path = sys.argv[1]
    if len(sys.argv) > 2:
        tune.Tuner.restore(f"{path}/run", Slow).fit()
    else:
        tune.Tuner(
            Slow,
            param_space={"steps": 100_000},
            run_config=tune.RunConfig(name="run", storage_path=path, stop={"count": 40}),
        ).fit()
    print("never ends this way" if len(sys.argv) <= 2 else "done")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_the_running_trial_is_saved_and_the_exit_code_says_why(tmp_path: Path, name: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    number = getattr(signal, name)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
    ) as process:
        until_results(tmp_path / "run")
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 128 + number, output
    assert "never ends this way" not in output and "Traceback" not in output
    (trial_dir,) = [each for each in (tmp_path / "run").iterdir() if each.is_dir()]
    assert [each.name for each in trial_dir.glob("checkpoint_*")] == ["checkpoint_000000"]

    subprocess.run(
        [sys.executable, str(script), str(tmp_path), "again"],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    result = tune.Result.from_path(str(trial_dir))
    assert [row["count"] for row in rows(result)] == list(range(1, 41))


def test_signals_that_are_ignored_from_the_start_stay_ignored(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    # As nohup does, and a shell with a job in the background.
    start = 'trap "" INT HUP; exec "$@"'
    with subprocess.Popen(
        ["sh", "-c", start, "sh", sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        text=True,
    ) as process:
        until_results(tmp_path / "run")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert "never ends this way" in output and "Interrupted" not in output


def until_results(experiment: Path) -> None:
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 2000 for path in experiment.glob("*/result.json")):
        assert time.monotonic() < deadline, "no results came"
        time.sleep(0.02)


MANY = """
import os
import signal
import sys

import psutil

import localtune as tune
from localtune.controller import loop
from localtune.execution import local_process
from localtune.execution.process import template_client

loop.END_GRACE_S = local_process._CLOSE_TIMEOUT_S = template_client._STUCK_S = 0.5
what = sys.argv[2]


def train(config):
    signal.pause()


class AfterSome(tune.Callback):
    count = 0

    def on_trial_start(self, iteration, trials, trial, **info):
        self.count += 1
        if self.count == 5:
            for process in psutil.Process().children(recursive=True) if what == "stopped" else []:
                if process.children():  # The guard, and the template.
                    process.suspend()
            os.kill(os.getpid(), signal.SIGTERM)


tune.Tuner(
    train,
    tune_config=tune.TuneConfig(num_samples=400),
    run_config=tune.RunConfig(
        name="run", storage_path=sys.argv[1], verbose=0, callbacks=[AfterSome()]
    ),
    executor=tune.ProcessExecutor(num_cpus=400, stop_timeout_s=0.5, kill_timeout_s=0.5),
).fit()
"""


@pytest.mark.parametrize("what", ["alive", "stopped"])
def test_a_run_ends_while_hundreds_of_trials_start(tmp_path: Path, what: str) -> None:
    """Also if the processes that start them are stopped, and read nothing."""
    script = tmp_path / "program.py"
    script.write_text(MANY)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), what],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
