"""Tests of localtune.compat.install: workers, experiments, other processes, and the real Ray."""

from __future__ import annotations

import os
import pickletools
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A module of the user, as scripts for Ray Tune have them.
PARTS = """
import ray
from ray import tune
from ray.tune.search import Searcher
from ray.tune.schedulers import FIFOScheduler


class Value:
    def __repr__(self):
        return "value"


class Stop(tune.Stopper):
    def __call__(self, trial_id, result):
        return result["training_iteration"] >= 2

    def stop_all(self):
        return False


class Count(tune.Callback):
    count = 0

    def on_trial_result(self, iteration, trials, trial, result, **info):
        assert isinstance(trial, ray.tune.experiment.Trial)
        self.count += 1

    def get_state(self):
        return {"count": self.count, "value": Value()}

    def set_state(self, state):
        self.count = state["count"]


class Search(Searcher):
    def __init__(self):
        super().__init__(metric="loss", mode="min")
        self.asked = []

    def suggest(self, trial_id):
        self.asked.append(Value())
        return {"x": len(self.asked)} if len(self.asked) < 3 else Searcher.FINISHED

    def on_trial_complete(self, trial_id, result=None, error=False):
        pass


class Train(tune.Trainable):
    def setup(self, config):
        from ray.tune.logger import pretty_print
        self.value = Value()

    def step(self):
        return {"loss": self.config["x"], "value": self.value}

    def save_checkpoint(self, checkpoint_dir):
        return {"value": self.value}

    def load_checkpoint(self, checkpoint):
        self.value = checkpoint["value"]


def name(trial):
    return f"{ray.tune.__name__.split('.')[0]}_{trial.trial_id}"
"""
SCRIPT = """
import os, sys
import parts
import ray
from ray import tune
from localtune import InProcessExecutor, ProcessExecutor

def train(config):
    import ray.train
    from ray.air import session
    if config["fail"] and not os.path.exists("repaired"):
        raise ValueError(config["fail"])
    tune.report({"loss": 1, "version": ray.__version__, "x": repr(config["x"])})

def run(name, trainable, space=None, executor=None, **options):
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(trial_name_creator=parts.name, **options),
        run_config=tune.RunConfig(
            name=name, storage_path=os.path.abspath("results"), verbose=0,
            stop=parts.Stop(), callbacks=[parts.Count()],
        ),
        executor=executor,
    ).fit()

if __name__ == "__main__":
    space = {"x": tune.choice([parts.Value()]), "fail": ""}
    executors = [ProcessExecutor(start_method=each) for each in sys.argv[1:]]
    for each in [*executors, InProcessExecutor()]:
        (result,) = run("train", train, space, each)
        print(result.metrics["version"], result.metrics["x"])
    results = run("class", parts.Train, search_alg=parts.Search(), scheduler=parts.FIFOScheduler(),
                  num_samples=-1, max_concurrent_trials=1)
    print(len(results), results.num_errors)
    failed = run("failed", train, {**space, "fail": tune.grid_search(["a", ""])})
    print(failed.num_errors)
"""
# The script as it is after it was changed by hand: nothing imports the shim.
READ = """
import sys
import localtune as tune

def train(config):
    tune.report({"loss": 2, "x": repr(config["x"])})

assert "localtune.compat" not in sys.modules
for name in ("class", "failed", "train"):
    analysis = tune.ExperimentAnalysis(f"results/{name}", default_metric="loss", default_mode="min")
    assert analysis.best_result["loss"] == 1, analysis.best_result
assert str(analysis.trials[0]).startswith("localtune_")
results = tune.Tuner.restore("results/failed", train, restart_errored=True).fit()
print(results.num_errors, sorted(result.metrics["loss"] for result in results))
"""


def run(folder: Path, *arguments: str, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def names_in(data: bytes) -> set[str]:
    """Names of modules in a pickle, and in pickles inside it."""
    found: set[str] = set()
    for _, value, _ in pickletools.genops(data):
        if isinstance(value, str):
            found |= set(re.split(r"[ \n]", value))
        elif isinstance(value, (bytes, bytearray)) and value[:1] in (b"\x80", b"c"):
            found |= names_in(bytes(value))
    return found


def pickles_below(folder: Path) -> list[bytes]:
    found = [path.read_bytes() for path in folder.rglob("*.pkl")]
    for path in folder.rglob("experiment.db"):
        with sqlite3.connect(path) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
            for table in tables:
                if not table.startswith(("sqlite_", "idx", "index")):
                    try:
                        rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
                    except sqlite3.OperationalError:
                        continue
                    found += [each for row in rows for each in row if isinstance(each, bytes)]
        connection.close()
    return [each for each in found if each[:1] in (b"\x80", b"c")]


@pytest.mark.long
@pytest.mark.slow
def test_workers_and_readers_have_what_experiments_need(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "read.py").write_text(READ)
    methods = ("template", "spawn", "portable") if sys.platform == "linux" else ("spawn",)

    done = run(tmp_path, "-m", "localtune.compat", "script.py", *methods)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[: len(methods) + 2] == ["2.45.0 value"] * (len(methods) + 1) + ["2 0"]
    assert lines[-1] == "1"

    pickles = pickles_below(tmp_path / "results")
    names = set().union(*map(names_in, pickles))
    assert "parts" in names and "localtune.compat.install" in names
    assert not [name for name in names if name.partition(".")[0] == "ray"]

    # Readers that have never heard of the shim.
    for command in ("ls results", "show results/class", "best results/class --metric loss"):
        read = run(tmp_path, "-m", "localtune", *command.split())
        assert read.returncode == 0, read.stderr
    target = run(tmp_path, "-m", "localtune", "retry", "results/failed", "script.py:train")
    assert "python -m localtune.compat -m localtune ..." in target.stderr
    read = run(tmp_path, "read.py")
    assert read.stdout == "0 [1, 2]\n", read.stderr

    (tmp_path / "repaired").touch()
    again = run(
        tmp_path, "-m", "localtune.compat", "-m", "localtune", "retry", "results/failed",
        "script.py:train",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr


_FAKE_RAY = {
    "ray/__init__.py": "print('loaded')\n__version__ = '2.9.3'\n",
    "ray/tune/__init__.py": "",
    "ray-2.9.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: ray\nVersion: 2.9.3\n",
    "ray-2.9.3.dist-info/top_level.txt": "ray\n",
}
_LOOK = """
import importlib, importlib.metadata as metadata, importlib.util, inspect, pkgutil, sys
assert importlib.util.find_spec("ray").name == "ray"
assert importlib.util.find_spec("ray.tune").name.endswith("ray.tune")
assert importlib.util.find_spec("ray.tune.schedulers.pbt") is not None
import ray, ray.tune, ray.tune.schedulers
from ray.tune.schedulers import ASHAScheduler
assert importlib.util.find_spec("ray.tune.schedulers").name == "localtune.schedulers"
assert ray.__version__ == metadata.version("ray") == metadata.version("Ray") == "2.45.0"
assert metadata.distribution("ray").metadata["Name"] == "ray"
assert metadata.packages_distributions()["ray"][0] == "ray"
assert metadata.distribution("ray").files is None and metadata.requires("ray") is None
assert [each.version for each in metadata.distributions(name="ray", path=[])] == []
assert metadata.entry_points(group="console_scripts") is not None
assert inspect.getmodule(ASHAScheduler) is sys.modules["localtune.schedulers.async_hyperband"]
assert importlib.reload(ray.tune) is ray.tune and ray.tune.Tuner
assert {each.name for each in pkgutil.iter_modules(ray.__path__)} >= {"air", "train", "tune"}
namespace = {}
exec("from ray.tune import *", namespace)
exec("from ray.tune.logger import *", namespace)
assert namespace["Tuner"] is ray.tune.Tuner and "CSVLogger" in namespace
import localtune.compat
localtune.compat.install()
print("done")
"""


@pytest.fixture
def path_with_ray(tmp_path: Path) -> str:
    """A search path with what looks like the real Ray."""
    for name, text in _FAKE_RAY.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    return f"{tmp_path / 'site'}{os.pathsep}{ROOT}"


@pytest.mark.long
def test_the_real_ray_is_neither_loaded_nor_changed(tmp_path: Path, path_with_ray: str) -> None:
    path = path_with_ray

    done = run(tmp_path, "-m", "localtune.compat", "-c", _LOOK, path=path)

    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert done.stderr == (
        f"localtune.compat: Ray 2.9.3 is installed in {tmp_path / 'site'}, and is not used: in "
        "this process and its workers, ray is localtune.\n"
    )
    assert run(tmp_path, "-m", "localtune.compat", "-c", _LOOK).stderr == ""
    other = run(tmp_path, "-c", "import ray; print(ray.__version__)", path=path)
    assert other.stdout == "loaded\n2.9.3\n"

    late = run(
        tmp_path,
        "-c",
        "import ray, localtune.compat\n"
        "try:\n    localtune.compat.install()\n"
        "except ImportError as error:\n    print(error)\n"
        "import pickle, sys\n"
        "from localtune.utils.serialization import calling\n"
        "from localtune.compat.install import install_for_pickle\n"
        "pickle.loads(calling(install_for_pickle) + pickle.dumps(1))\n"
        "print(ray.__version__, len(sys.meta_path) == len({*map(id, sys.meta_path)}))\n",
        path=path,
    )
    assert f"imported already, from {tmp_path / 'site' / 'ray'}, so localtune" in late.stdout
    assert late.stdout.endswith("2.9.3 True\n"), late.stderr


_NOTED = """
import ray
from ray import tune

with open("imports", "a") as file:
    file.write(f"{ray.__name__}\\n")

def train(config):
    return {"version": ray.__version__}
"""
_NOTED_RUNS = """
import sys
import noted
from ray import tune
from localtune import ProcessExecutor

for _ in range(2):
    executor = ProcessExecutor(start_method="template", preload=eval(sys.argv[1]))
    (result,) = tune.Tuner(noted.train, executor=executor).fit()
    assert result.error is None and result.metrics["version"] != "2.9.3", result.error
"""


@pytest.mark.parametrize("preload", [None, ["noted"]])
def test_modules_that_are_imported_ahead_get_the_shim(
    tmp_path: Path, path_with_ray: str, preload: list[str] | None
) -> None:
    (tmp_path / "noted.py").write_text(_NOTED)
    (tmp_path / "runs.py").write_text(_NOTED_RUNS)
    path = f"{tmp_path}{os.pathsep}{path_with_ray}"

    done = run(tmp_path, "-m", "localtune.compat", "runs.py", str(preload), path=path)

    assert done.returncode == 0, done.stderr
    # The script, and the process that all workers of both runs come from.
    assert (tmp_path / "imports").read_text() == 2 * "localtune.compat.ray\n"
