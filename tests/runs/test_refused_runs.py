"""A call that is refused, or only prepares, leaves the storage path as it was."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import ExperimentInUseError, StorageError, TuneError
from localtune.schedulers import HyperBandScheduler
from localtune.search import BasicVariantGenerator, Searcher
from localtune.storage.locks import experiment_locked
from localtune.tools.cli.main import main
from tests.small_runs import Counting, fit, make_tuner, reporting
from tests.storage.stores import faulty_store

SCRIPT = """
import localtune as tune

def train(config):
    tune.report({"score": config.get("x", 1)})

def other(config):
    tune.report({"score": 0})

not_one = 3
"""


def digest(root: Path) -> dict[str, str]:
    """{path: kind and content} of all that is below a directory."""
    found: dict[str, str] = {}
    for directory, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(directory, name)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = f"link to {os.readlink(path)}"
            elif path.is_dir():
                found[key] = "directory"
            else:
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@contextlib.contextmanager
def left_alone(root: Path) -> Iterator[None]:
    before = digest(root)
    yield
    assert digest(root) == before


class NoSuggestion(Searcher):
    """Gives a configuration that the space cannot give."""

    def suggest(self, trial_id: str) -> dict[str, Any]:
        raise RuntimeError("no model")


class Refuses(tune.Callback):
    """Cannot be set up."""

    def setup(self, *arguments: Any, **info: Any) -> None:
        raise RuntimeError("no server")


class Unready(tune.Callback):
    """Cannot take up its state again."""

    def get_state(self) -> dict[str, Any]:
        return {"a": 1}

    def set_state(self, state: dict[str, Any]) -> None:
        raise RuntimeError("another version")


def needs_lock(config: dict[str, Any], lock: Any) -> None:
    with lock:
        tune.report({"score": 1})


def run_api(storage: Path, name: str, **options: Any) -> None:
    trainable = options.pop("trainable", reporting)
    fit(trainable, storage, options.pop("space", {"x": 2}), name=name, **options)


def run_tune(storage: Path, name: str, **options: Any) -> None:
    trainable = options.pop("trainable", reporting)
    options = {"executor": "inprocess", "verbose": 0, **options}
    tune.run(trainable, name=name, storage_path=storage, **options)


IMPOSSIBLE = {"cpu": 10_000}

# {what is wrong: the call}
REFUSED: dict[str, Callable[[Path, str], Any]] = {
    "only a Tuner": lambda s, n: make_tuner(Counting, s, {"y": 1}, name=n, metric="loss"),
    "only an Experiment": lambda s, n: tune.Experiment(n, reporting, storage_path=s),
    "metric": lambda s, n: run_api(s, n, metric=3),
    "mode": lambda s, n: run_api(s, n, mode="best"),
    "num_samples": lambda s, n: run_api(s, n, num_samples=0),
    "time budget": lambda s, n: run_api(s, n, time_budget_s=-1),
    "space": lambda s, n: run_api(s, n, space={"x": {"grid_search": 3}}),
    "space that refers to itself": lambda s, n: run_api(
        s, n, space={"a": tune.sample_from(lambda spec: spec.config.a)}
    ),
    "unpicklable space": lambda s, n: run_api(s, n, space={"x": threading.Lock()}),
    "unpicklable space of run": lambda s, n: run_tune(s, n, config={"x": threading.Lock()}),
    "unpicklable trainable": lambda s, n: run_api(
        s, n, trainable=tune.with_parameters(needs_lock, lock=threading.Lock())
    ),
    "unpicklable trainable of run": lambda s, n: run_tune(
        s, n, trainable=tune.with_parameters(needs_lock, lock=threading.Lock())
    ),
    "no trainable": lambda s, n: run_api(s, n, trainable=3),
    "checkpoints of a function": lambda s, n: run_api(s, n, checkpoint_frequency=1),
    "searcher": lambda s, n: run_api(s, n, search_alg="no such"),
    "searcher that fails": lambda s, n: run_api(
        s, n, search_alg=BasicVariantGenerator(points_to_evaluate=[{"z": 1}])
    ),
    "scheduler": lambda s, n: run_api(s, n, scheduler=3),
    "scheduler without a metric": lambda s, n: run_api(s, n, scheduler=HyperBandScheduler()),
    "metric given twice": lambda s, n: run_api(
        s, n, metric="score", mode="max", scheduler=HyperBandScheduler(metric="a", mode="max")
    ),
    "executor": lambda s, n: run_api(s, n, executor="threads"),
    "callbacks": lambda s, n: run_api(s, n, callbacks=[Refuses]),
    "callback that cannot be set up": lambda s, n: run_api(s, n, callbacks=[Refuses()]),
    "impossible resources": lambda s, n: run_api(
        s, n, trainable=tune.with_resources(reporting, IMPOSSIBLE)
    ),
    "impossible resources by the config": lambda s, n: run_api(
        s, n, trainable=tune.with_resources(reporting, lambda config: {"cpu": config["x"] * 9_999})
    ),
    "impossible resources of run": lambda s, n: run_tune(s, n, resources_per_trial=IMPOSSIBLE),
    "impossible resources, searcher that learns": lambda s, n: run_api(
        s,
        n,
        trainable=tune.with_resources(reporting, IMPOSSIBLE),
        search_alg=NoSuggestion(metric="score", mode="max"),
    ),
    "resources that cannot be found out": lambda s, n: run_api(
        s, n, trainable=tune.with_resources(reporting, lambda config: {"cpu": config["gone"]})
    ),
    "names of trials": lambda s, n: run_api(s, n, trial_name_creator=lambda trial: ""),
    "directories of trials": lambda s, n: run_api(s, n, trial_dirname_creator=lambda t: "a/b"),
    "stop condition": lambda s, n: run_api(s, n, stop=3),
    "log_to_file": lambda s, n: run_api(s, n, log_to_file=3),
    "storage in a file": lambda s, n: run_api(s / "file.txt", n),
    "checkpoint to start from": lambda s, n: run_tune(s, n, restore=s / "gone"),
    "export format": lambda s, n: run_tune(s, n, export_formats=["no such"]),
    "resume of run": lambda s, n: run_tune(s, n, resume="later"),
    "restore with another trainable": lambda s, n: tune.Tuner.restore(s / n, Counting),
    "restore with other keys": lambda s, n: tune.Tuner.restore(
        s / n, reporting, param_space={"y": 1}
    ),
    "restore with impossible resources": lambda s, n: tune.Tuner.restore(
        s / n, tune.with_resources(reporting, IMPOSSIBLE), restart_errored=True
    ).fit(),
}

PREPARES = {"only a Tuner", "only an Experiment"}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Storage with a finished experiment ``taken``, of which one trial has failed."""
    (tmp_path / "file.txt").write_text("a file")
    space = {"x": tune.grid_search([1, 2])}
    fit(reporting, tmp_path, space, name="taken", metric="score", mode="max")
    return tmp_path


@pytest.mark.parametrize("name", ["taken", "new"])
@pytest.mark.parametrize("wrong", REFUSED)
def test_a_refused_call_leaves_the_storage_as_it_was(storage: Path, wrong: str, name: str) -> None:
    expected = contextlib.nullcontext() if wrong in PREPARES else pytest.raises(Exception)
    with left_alone(storage), expected:
        REFUSED[wrong](storage, name)
    assert not tune.Tuner.can_restore(storage / "new")


def test_a_callback_that_refuses_its_state_ends_the_run_before_it_goes_on(tmp_path: Path) -> None:
    make_tuner(Counting, tmp_path, {"fail_at": 2}, callbacks=[Unready()]).fit()
    tuner = tune.Tuner.restore(
        tmp_path / "run", Counting, resume_errored=True, executor="inprocess"
    )
    with left_alone(tmp_path), pytest.raises(TuneError, match="another version"):
        tuner.fit()


def test_parents_that_were_made_go_again(tmp_path: Path) -> None:
    with left_alone(tmp_path), pytest.raises(TuneError, match="no server"):
        run_api(tmp_path / "a" / "b", "run", callbacks=[Refuses()])


def test_a_directory_of_the_users_own_is_used_and_left_when_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with left_alone(tmp_path), pytest.raises(TuneError, match="no server"):
        run_api(tmp_path, "run", callbacks=[Refuses()])
    run_api(tmp_path, "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_run_in_a_directory_that_is_in_use_is_refused(storage: Path) -> None:
    with experiment_locked(str(storage / "taken")), left_alone(storage):
        for call in (run_api, run_tune):
            with pytest.raises(ExperimentInUseError, match=f"process {os.getpid()} on"):
                call(storage, "taken")
        with pytest.raises(ExperimentInUseError):
            tune.Tuner.restore(storage / "taken", reporting, executor="inprocess").fit()


@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_a_lock_that_is_none_is_refused_with_advice(storage: Path, kind: str) -> None:
    lock = storage / "taken" / ".lock"
    lock.unlink()
    if kind == "directory":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(storage / "file.txt")
    before = sorted(path.name for path in (storage / "taken").iterdir())
    with pytest.raises(StorageError, match=r"\.lock.*cannot be used.*remove the file"):
        run_api(storage, "taken")
    assert sorted(path.name for path in (storage / "taken").iterdir()) == before
    assert (storage / "file.txt").read_text() == "a file"


def test_files_are_replaced_and_links_among_them_are_not_followed(storage: Path) -> None:
    victim = storage / "victim.txt"
    victim.write_text("kept")
    saved = storage / "taken" / "tuner.pkl"
    saved.unlink()
    saved.symlink_to(victim)
    run_api(storage, "taken")
    assert victim.read_text() == "kept" and not saved.is_symlink()
    assert not list((storage / "taken").glob(".staging_*"))


def test_a_store_is_not_written_before_fit(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    options = {"storage_filesystem": store.filesystem, "name": "run"}
    with left_alone(tmp_path):
        tuner = make_tuner(reporting, Path(store.root), **options)
        assert not os.path.exists(tuner.path)
        assert not tune.Tuner.can_restore(f"{store.root}/run", store.filesystem)
        with pytest.raises(TuneError, match="no server"):
            make_tuner(reporting, Path(store.root), callbacks=[Refuses()], **options).fit()
        assert not os.path.exists(tuner.path)
    tuner.fit()
    assert tune.Tuner.can_restore(f"{store.root}/run", store.filesystem)


# -- two at once ------------------------------------------------------------------------------

STARTER = """
import sys
import localtune as tune
from localtune.error import ExperimentInUseError

def waits(config):
    import time
    tune.report({"score": 1})
    time.sleep(1.5)

run_config = tune.RunConfig(name="run", storage_path=sys.argv[1], verbose=0)
tuner = tune.Tuner(waits, run_config=run_config)
print("ready", flush=True)
sys.stdin.readline()
try:
    tuner.fit()
    print("ran")
except ExperimentInUseError:
    print("refused")
"""


def test_of_processes_that_start_at_once_one_runs_and_the_others_are_refused(
    tmp_path: Path,
) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path / "new")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in starters:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in starters:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = sorted(each.communicate()[0].strip() for each in starters)
    assert said == ["ran", "refused", "refused"]
    assert len(tune.ExperimentAnalysis(tmp_path / "new" / "run").trials) == 1


def test_of_threads_that_start_at_once_one_runs_and_the_others_are_refused(tmp_path: Path) -> None:
    at_once = threading.Barrier(4)
    released = threading.Event()
    outcomes: list[str] = []

    class Waits(tune.Callback):
        def on_step_begin(self, *arguments: Any, **info: Any) -> None:
            released.wait(60)

    def start() -> None:
        tuner = make_tuner(reporting, tmp_path, callbacks=[Waits()])
        at_once.wait()
        try:
            tuner.fit()
            outcomes.append("ran")
        except ExperimentInUseError:
            outcomes.append("refused")
            if len(outcomes) == 3:
                released.set()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["ran", "refused", "refused", "refused"]


def test_default_names_of_several_processes_differ(tmp_path: Path) -> None:
    code = (
        "import sys; from localtune.running.specify import default_name;"
        "print(*(default_name('train') for _ in range(1000)), sep='\\n')"
    )
    names: list[str] = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        names += done.stdout.split()
    assert len(set(names)) == 2000


# -- the command ------------------------------------------------------------------------------

USAGE, FAILED = 2, 1
NUMBERS = itertools.count()


@pytest.fixture
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script of which no other test has a module."""
    path = tmp_path_factory.mktemp("scripts") / f"refused_{next(NUMBERS)}.py"
    path.write_text(SCRIPT)
    return path


COMMANDS: dict[str, tuple[int, list[str]]] = {
    "no command": (USAGE, []),
    "no such command": (USAGE, ["ruin"]),
    "no such option": (USAGE, ["run", "{script}:train", "--name", "{name}", "--no-such"]),
    "no such function": (USAGE, ["run", "{script}:gone", "--name", "{name}"]),
    "no trainable": (USAGE, ["run", "{script}:not_one", "--name", "{name}"]),
    "no such file": (USAGE, ["run", "gone.py:train", "--name", "{name}"]),
    "samples": (USAGE, ["run", "{script}:train", "--name", "{name}", "--samples", "0"]),
    "parameter": (USAGE, ["run", "{script}:train", "--name", "{name}", "--param", "x=norm(1)"]),
    "mode without a metric": (
        USAGE,
        ["run", "{script}:train", "--name", "{name}", "--scheduler", "hyperband"],
    ),
    "searcher": (USAGE, ["run", "{script}:train", "--name", "{name}", "--search", "none"]),
    "name": (USAGE, ["run", "{script}:train", "--name", "../{name}"]),
    "resources": (
        FAILED,
        ["run", "{script}:train", "--name", "{name}", "--resources", "cpu=9999"],
    ),
    "resume of another trainable": (USAGE, ["resume", "taken", "{script}:other"]),
    "resume of nothing": (USAGE, ["resume", "nothing"]),
    "retry of nothing": (USAGE, ["retry", "nothing"]),
}


@pytest.mark.parametrize("name", ["taken", "new"])
@pytest.mark.parametrize("wrong", COMMANDS)
def test_a_refused_command_leaves_the_storage_as_it_was(
    storage: Path, script: Path, wrong: str, name: str
) -> None:
    code, words = COMMANDS[wrong]
    arguments = [each.format(script=script, name=name) for each in words]
    if words and words[0] in ("run", "resume", "retry"):
        arguments += ["--storage", str(storage)]
    if words and words[0] == "run":
        # The error is not about the name, which is taken, too.
        arguments += ["--add"]
    with left_alone(storage):
        assert main(arguments) == code


def test_the_command_is_on_record_when_the_run_has_begun(tmp_path: Path, script: Path) -> None:
    storage = tmp_path / "results"
    arguments = ["run", f"{script}:train", "--name", "run", "--storage", str(storage)]
    assert main([*arguments, "--verbose", "0"]) == 0
    record = json.loads((storage / "run" / "command.json").read_text())
    assert record["target"] == f"{script}:train"


def leave_log(experiment: Path, target: Path) -> None:
    """A copy of an experiment as a killed run leaves it: its last writing is in SQLite's log."""
    with contextlib.closing(sqlite3.connect(experiment / "experiment.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        with connection:
            connection.execute("UPDATE runs SET started = 1.5")
        shutil.copytree(experiment, target)
    assert (target / "experiment.db-wal").stat().st_size > 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: run_api(s, "run", if_exists="error"), ValueError),
        (lambda s: run_api(s, "run", if_exists="resume", space={"other": 1}), ValueError),
        (lambda s: run_api(s, "run", callbacks=[Refuses()]), TuneError),
        (
            lambda s: tune.Tuner.restore(
                str(s / "run"),
                tune.with_resources(reporting, lambda config: {"cpu": config["x"] * 9_999}),
                resume_errored=True,
                executor="inprocess",
                _resume_config=tune.ResumeConfig(finished=tune.ResumeConfig.ResumeType.RESTART),
            ).fit(),
            TuneError,
        ),
    ],
    ids=["error", "resume with other keys", "callback", "restore with impossible resources"],
)
def test_a_refused_call_does_not_mend_the_files_of_a_killed_run(
    tmp_path: Path, call: Callable[[Path], Any], error: type[Exception]
) -> None:
    run_api(tmp_path / "first", "run")
    storage = tmp_path / "storage"
    leave_log(tmp_path / "first" / "run", storage / "run")

    with left_alone(storage), pytest.raises(error):
        call(storage)

    run_api(storage, "run", if_exists="resume")
