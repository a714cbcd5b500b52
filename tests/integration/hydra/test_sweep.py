"""Whole sweeps of Hydra programs with the launcher."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import psutil
import pytest

from localtune import ExperimentAnalysis
from tests.docs.pages import PAGES, script_of
from tests.integration.hydra.apps import LAUNCHER, environment, facts_of, sweep, write_app

# A sweeper in Hydra's namespace beside the launcher. It launches three batches, takes each value
# from the results before, and writes down what it was told.
SWEEPER = """
import json
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


@dataclass
class HalvingConf:
    _target_: str = "hydra_plugins.halving_sweeper.HalvingSweeper"


class HalvingSweeper(Sweeper):
    def setup(self, *, hydra_context, task_function, config):
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        number, lr, seen = 0, 8.0, []
        for acts in (["nothing", "fail", "kill"], ["nothing"], ["dict", "lock"]):
            jobs = [[f"lr={lr}", f"act={act}", *arguments] for act in acts]
            for job in self.launcher.launch(jobs, initial_job_idx=number):
                value = job._return_value
                kinds = [each.__name__ for each in type(value).__mro__]
                seen.append([job.status.name, kinds, str(value), list(job.overrides)])
                seen[-1].append(job.cfg.lr if job.cfg is not None else None)
            number, lr = number + len(jobs), lr / 2
        Path("seen.json").write_text(json.dumps(seen))


ConfigStore.instance().store(group="hydra/sweeper", name="halving", node=HalvingConf)
"""

# A package whose function stands next to what cannot be pickled; options come from files.
PARTS = """
import os
from pathlib import Path

from hydra.experimental.callback import Callback


class Database:
    def __init__(self, name):
        self.name = name


class Notes(Callback):
    def on_job_end(self, config, job_return, **kwargs):
        output = Path(config.hydra.runtime.output_dir)
        (output / "ended").write_text(f"{job_return.status.name} {os.getpid()}")
"""
MAIN = """
import os
import threading
from pathlib import Path

import hydra
from omegaconf import OmegaConf

lock = threading.Lock()
OmegaConf.register_new_resolver("times", lambda a, b: a * b)


@hydra.main(version_base=VERSION_BASE, config_path="conf", config_name="config")
def main(cfg):
    with lock:
        database = hydra.utils.instantiate(cfg.db)
    Path("here.txt").write_text(f"{database.name} {cfg.six} {os.getpid()}")
    return cfg.six


if __name__ == "__main__":
    main()
"""
SHOP = {
    "start.py": "from shop.main import main\nmain()\n",
    "shop/__init__.py": "",
    "shop/parts.py": PARTS,
    "shop/main.py": MAIN,
    "shop/conf/__init__.py": "",
    "shop/conf/config.yaml": """
defaults: [_self_, db: mysql]
six: ${times:2,3}
hydra:
  callbacks: {notes: {_target_: shop.parts.Notes}}
""",
    "shop/conf/db/mysql.yaml": "{_target_: shop.parts.Database, name: my}",
    "shop/conf/db/postgres.yaml": "{_target_: shop.parts.Database, name: post}",
}


def test_a_sweeper_gets_all_returns_and_goes_on_with_the_experiment(tmp_path: Path) -> None:
    write_app(tmp_path)
    write_app(tmp_path, SWEEPER, "plugins/hydra_plugins/halving_sweeper.py")

    done = sweep(tmp_path, "hydra/sweeper=halving", PYTHONPATH=str(tmp_path / "plugins"))

    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads((tmp_path / "seen.json").read_text())
    status, kinds, texts, overrides, lrs = zip(*seen, strict=True)
    assert status == ("COMPLETED", "FAILED", "FAILED", "COMPLETED", "COMPLETED", "FAILED")
    assert overrides[1] == ["lr=8.0", "act=fail"]
    # A killed job has no configuration to return.
    assert lrs == (8.0, 8.0, None, 4.0, 2.0, None)
    assert (texts[0], texts[3]) == ("16.0", "8.0")
    assert {"OwnError", "TrialTaskError"} <= set(kinds[1])
    assert "unlucky 8.0" in texts[1]
    assert kinds[2][0] == "WorkerDiedError"
    assert "SIGKILL" in texts[2]
    assert texts[4] == str({"loss": 2.0, "name": "text", "done": 0})
    assert "returned a lock that cannot be sent to the launcher" in texts[5]
    assert [facts_of(tmp_path, number)["num"] for number in (0, 3, 4)] == [0, 3, 4]
    analysis = ExperimentAnalysis(tmp_path / "out" / "localtune")
    assert [trial.config["lr"] for trial in analysis.trials] == [8.0, 8.0, 8.0, 4.0, 2.0, 2.0]
    assert analysis.trials[4].last_result["loss"] == 2.0
    # One run, which nobody is told to resume, and which has not been taken for another one's.
    assert "resume" not in done.stdout + done.stderr
    assert os.listdir(tmp_path / "out" / "localtune").count("experiment.db") == 1


def write_shop(directory: Path, version_base: str | None) -> None:
    for name, text in SHOP.items():
        write_app(directory, text.replace("VERSION_BASE", repr(version_base)), name)


@pytest.mark.parametrize(
    ("version_base", "option", "changes_directory"),
    [
        (None, "hydra.job.chdir=true", True),
        ("1.1", "hydra.launcher.verbose=0", True),
        ("1.2", "hydra.launcher.start_method=spawn", False),
    ],
)
def test_a_program_in_a_package(
    tmp_path: Path, version_base: str | None, option: str, changes_directory: bool
) -> None:
    write_shop(tmp_path, version_base)

    done = sweep(tmp_path, "db=mysql,postgres", option, app=("start.py",))

    assert done.returncode == 0, done.stdout + done.stderr
    found = set()
    for number in range(2):
        output = tmp_path / "out" / str(number)
        status, pid = (output / "ended").read_text().split()
        assert status == "COMPLETED"
        written = output / "here.txt" if changes_directory else tmp_path / "here.txt"
        name, six, writer = written.read_text().split()
        found.add(name)
        assert six == "6"
        assert writer == pid or not changes_directory
    assert found <= {"my", "post"}
    assert len(found) == 2 or not changes_directory


def test_the_error_for_a_function_that_cannot_be_sent_names_the_variable(tmp_path: Path) -> None:
    # Workers do not import the module that was started, so its code is sent by value.
    write_shop(tmp_path, None)

    done = sweep(tmp_path, "db=mysql,postgres", app=("-m", "shop.main"))

    assert done.returncode == 1
    assert "global variable 'lock', a _thread.lock" in done.stderr
    assert {path.name for path in tmp_path.glob("out/*")} == {"multirun.yaml"}


def test_the_page_is_true(tmp_path: Path) -> None:
    page = PAGES["docs/hydra.md"]
    write_app(tmp_path, script_of(page))
    (line,) = re.findall(r"^python (.*)$", script_of(page, "sh"), re.MULTILINE)

    done = subprocess.run(
        [sys.executable, *line.split(), "hydra.sweep.dir=out"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    analysis = ExperimentAnalysis(tmp_path / "out" / "localtune")
    assert len(analysis.trials) == 6
    best = analysis.get_best_trial("return_value", "min")
    assert best is not None
    assert best.config == {"lr": 0.05, "width": 16}
    # Each setting has a row in the table, and no other has.
    rows = re.findall(r"^\| (`[\w`, ]+`) \|", page.read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(rows))) - {"0", "1", "multirun", "localtune"}
    plugin = importlib.import_module("hydra_plugins.localtune_launcher")
    assert named == {each.name for each in fields(plugin.LocaltuneLauncherConf)} - {"_target_"}


def test_limits_retries_and_a_place_for_all_experiments(tmp_path: Path) -> None:
    write_app(tmp_path)
    options = (
        *("act=nothing,fail_once", "lr=1,2", "hydra.launcher.n_jobs=1"),
        *("hydra.launcher.cpus_per_job=0", "hydra.launcher.max_failures=1"),
        *(
            "hydra.launcher.memory_bytes_per_job=1e9",
            f"hydra.launcher.storage_path=file://{tmp_path}/all",
        ),
        "hydra.launcher.verbose=1",
    )

    done = sweep(tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr

    facts = [facts_of(tmp_path, number) for number in range(4)]
    assert [each["resources"] for each in facts] == [{"memory": 1e9}] * 4
    times = sorted(each["times"] for each in facts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    (experiment,) = (tmp_path / "all").iterdir()
    assert experiment.name.startswith("app_")
    assert str(experiment) in done.stdout
    trials = ExperimentAnalysis(experiment).trials
    assert [trial.num_failures for trial in trials] == [0, 0, 1, 1]
    assert not (tmp_path / "out" / "localtune").exists()


def test_a_second_sweep_in_the_same_directory_has_an_experiment_of_its_own(tmp_path: Path) -> None:
    write_app(tmp_path)

    for _ in range(2):
        done = sweep(tmp_path, "lr=1")
        assert done.returncode == 0, done.stderr

    names = {path.name for path in (tmp_path / "out").glob("localtune*")}
    assert names == {"localtune", "localtune_2"}


def test_ctrl_c_ends_all_jobs(tmp_path: Path) -> None:
    write_app(tmp_path)
    options = ("hydra.launcher.num_cpus=2", "hydra.launcher.stop_timeout_s=0.1")
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "app.py", *LAUNCHER, "act=wait", "lr=1,2", *options],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        waiting = (line.split() for line in program.stdout if line.startswith("waiting"))
        pids = [int(next(waiting)[1]) for _ in range(2)]
        program.send_signal(signal.SIGINT)
        try:
            _, errors = program.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGABRT)  # It shows where each thread is.
            _, errors = program.communicate()

    assert program.returncode in (-signal.SIGINT, 128 + signal.SIGINT), errors
    assert "KeyboardInterrupt" in errors
    assert not any(psutil.pid_exists(pid) for pid in pids)
    trials = ExperimentAnalysis(tmp_path / "out" / "localtune").trials
    assert [trial.is_finished() for trial in trials] == [False, False]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("n_jobs=0", "hydra.launcher.n_jobs must be at least 1, or -1 for as many jobs as"),
        ("n_jobs=many", "Value 'many' of type 'str' could not be converted to Integer"),
        ("gpus_per_job=64", "The trials can never run."),
        ("cpus_per_job=-1", "'CPU' must be a number of at least 0, but got -1.0"),
        ("start_method=fork", "start_method must be None or one of"),
        ("colour=red", "Could not override 'hydra.launcher.colour'"),
    ],
)
def test_a_wrong_setting_is_refused_before_the_first_job(
    tmp_path: Path, setting: str, message: str
) -> None:
    write_app(tmp_path)

    done = sweep(tmp_path, "lr=1,2", f"hydra.launcher.{setting}", CUDA_VISIBLE_DEVICES="")

    assert done.returncode == 1
    assert message in done.stderr
    assert {path.name for path in tmp_path.glob("out/*")} <= {"multirun.yaml"}
