"""Runs on nodes that share no files: all that they exchange is in a store."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.execution.cluster.engine import ClusterError
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.cluster.relay import Relay
from localtune.schedulers import PopulationBasedTraining
from localtune.trial.trial import Trial
from localtune.utils.remote_store import RemoteStore
from tests.runs.clusters.clocks import HOUR_S, clock_that_is_off, off_here_s
from tests.runs.clusters.test_runs import Strike, agent_of
from tests.small_runs import Counting, reporting_checkpoints, rows
from tests.storage.stores import faulty_store, logging_store

pytestmark = [pytest.mark.slow, pytest.mark.long]

STEPS = 4


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own, which has the parent's working copy."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def store(tmp_path: Path) -> RemoteStore:
    return faulty_store(tmp_path / "store")[0]


def three_nodes() -> ClusterExecutor:
    return ClusterExecutor(LocalEngine([{"CPU": 1}] * 3))


def fit(
    store: RemoteStore,
    trainable: Any,
    executor: Any,
    space: dict[str, Any] | None = None,
    *,
    tune_config: tune.TuneConfig | None = None,
    **options: Any,
) -> tune.ResultGrid:
    settings: dict[str, Any] = {
        "name": "run",
        "storage_path": store.root,
        "storage_filesystem": store.filesystem,
        "verbose": 0,
        **options,
    }
    return tune.Tuner(
        trainable,
        param_space={"steps": STEPS, "x": tune.grid_search([1, 2, 3, 4]), **(space or {})},
        tune_config=tune_config,
        run_config=tune.RunConfig(**settings),
        executor=executor,
    ).fit()


def checkpoints(store: RemoteStore) -> dict[str, list[str]]:
    """{directory of a trial: its complete checkpoints in the store}."""
    found: dict[str, list[str]] = {}
    for name in store.child("run").files():
        trial, _, rest = name.partition("/")
        checkpoint, _, file = rest.partition("/")
        if file == ".localtune_complete":
            found.setdefault(trial, []).append(checkpoint)
    return {trial: sorted(names) for trial, names in found.items()}


def numbered(*numbers: int) -> list[str]:
    return [f"checkpoint_{number:06d}" for number in numbers]


def test_checkpoints_of_classes_are_in_the_store_and_fetched_when_needed(
    store: RemoteStore,
) -> None:
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    results = fit(store, Counting, three_nodes(), checkpoint_config=config)
    assert not results.errors
    assert list(checkpoints(store).values()) == [numbered(*range(STEPS))] * 4
    for result in results:
        assert [row["count"] for row in rows(result)] == [1, 2, 3, 4]
        assert result.checkpoint is not None
        assert not os.path.exists(result.checkpoint.path)
        with result.checkpoint.as_directory() as directory:
            assert os.listdir(directory)


def test_functions_go_on_from_their_checkpoints_after_failures(
    store: RemoteStore, tmp_path: Path
) -> None:
    space = {"x": 1, "fail_at": 3, "once": str(tmp_path / "once")}
    failures = tune.FailureConfig(max_failures=1)
    results = fit(store, reporting_checkpoints, three_nodes(), space, failure_config=failures)
    assert [row["step"] for row in rows(results[0])] == [1, 2, 3, 4]
    assert not results.errors
    assert list(checkpoints(store).values()) == [numbered(*range(STEPS))]


def test_retention_removes_old_checkpoints_from_the_store(store: RemoteStore) -> None:
    config = tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1)
    results = fit(store, Counting, three_nodes(), checkpoint_config=config)
    assert not results.errors
    assert list(checkpoints(store).values()) == [numbered(STEPS - 1)] * 4
    left = {name.split("/")[1] for name in store.child("run").files() if "/checkpoint_" in name}
    assert left == {*numbered(STEPS - 1)}


def test_clones_get_checkpoints_of_other_nodes_which_fetch_them_once(tmp_path: Path) -> None:
    store, log = logging_store(tmp_path / "logged")
    engine = LocalEngine([{"CPU": 2}] * 3)
    agents = Agents(engine)
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"x": [1, 2, 3, 4]},
        quantile_fraction=0.5,
        synch=True,
    )
    results = fit(
        store,
        Slowing,
        ClusterExecutor(engine),
        {"steps": 8},
        tune_config=tune.TuneConfig(metric="gain", mode="max", scheduler=scheduler, seed=1),
        callbacks=[agents],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
    )
    assert not results.errors
    for result in results:
        assert [row["count"] for row in rows(result)] == list(range(1, 9))
    fetched = [line.split() for line in log.read_text().splitlines() if "/checkpoint_" in line]
    assert fetched
    assert {int(process) for process, _ in fetched} <= agents.process_ids
    assert len({(process, path) for process, path in fetched}) == len(fetched)


class Slowing(Counting):
    """Counts; the gain is different for each trial."""

    def step(self) -> dict[str, Any]:
        return {**super().step(), "gain": self.config["x"] * self.count}


class Agents(tune.Callback):
    """Notes the processes of the agents."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.process_ids: set[int] = set()

    def on_trial_result(self, *arguments: Any, **info: Any) -> None:
        self.process_ids |= set(self.engine.agent_pids().values())


@pytest.mark.parametrize("kind", ["removed", "SIGKILL", "SIGSTOP"])
def test_trials_of_a_lost_node_go_on_from_the_store(store: RemoteStore, kind: str) -> None:
    engine = LocalEngine([{"CPU": 1}] * 3)

    def lose(worker_pid: int) -> None:
        if kind == "removed":
            engine.remove_node(engine.nodes()[-1].node_id)
        else:
            os.kill(agent_of(worker_pid), getattr(signal, kind))

    loss = Strike(lose)
    results = fit(
        store,
        Counting,
        ClusterExecutor(engine, node_timeout_s=3.0),
        {"steps": 6},
        callbacks=[loss],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
    )
    assert loss.has_struck
    assert not results.errors
    for result in results:
        assert [row["count"] for row in rows(result)] == [1, 2, 3, 4, 5, 6]


class Obstacle(tune.Callback):
    """Puts a file where a checkpoint is to be uploaded, until the trial has failed by it."""

    def __init__(self, store: RemoteStore) -> None:
        self.place = Path(store.root, "run")
        self.file: Path | None = None

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **_: Any
    ) -> None:
        if self.file is None and result["training_iteration"] == 2:
            self.file = self.place / trial.dirname / numbered(2)[0]
            self.file.parent.mkdir(exist_ok=True)
            self.file.touch()

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **_: Any) -> None:
        assert self.file is not None
        self.file.unlink()


@pytest.mark.parametrize("max_failures", [0, 1])
def test_a_trial_whose_checkpoint_cannot_be_uploaded_fails_and_may_be_tried_again(
    store: RemoteStore, max_failures: int
) -> None:
    results = fit(
        store,
        Counting,
        three_nodes(),
        {"x": 1},
        callbacks=[Obstacle(store)],
        failure_config=tune.FailureConfig(max_failures=max_failures),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
    )
    (made,) = checkpoints(store).values()
    if max_failures:
        assert not results.errors
        assert [row["count"] for row in rows(results[0])] == [1, 2, 3, 4]
        assert made == numbered(*range(STEPS))
        return
    text = str(results.errors[0])
    assert f"The remote storage {store.child('run').uri!r} cannot be used" in text
    assert "on the node node-" in text
    assert "credentials" in text
    assert made == numbered(0, 1)
    assert len(results[0].best_checkpoints) == 2


def test_a_run_goes_on_in_processes_of_another_machine(
    store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"x": 1, "fail_at": 3, "once": str(tmp_path / "once")}
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    results = fit(store, Counting, three_nodes(), space, checkpoint_config=config)
    assert results.num_errors == 1
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    restored = tune.Tuner.restore(
        f"{store.root}/run",
        Counting,
        resume_errored=True,
        storage_filesystem=store.filesystem,
        executor=tune.ProcessExecutor(num_cpus=2),
    ).fit()
    assert [row["count"] for row in rows(restored[0])] == [1, 2, 3, 4]
    assert list(checkpoints(store).values()) == [numbered(*range(STEPS))]


def test_a_run_of_processes_goes_on_on_a_cluster(store: RemoteStore, tmp_path: Path) -> None:
    space = {"x": 1, "fail_at": 3, "once": str(tmp_path / "once")}
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    executor = tune.ProcessExecutor(num_cpus=2)
    assert fit(store, Counting, executor, space, checkpoint_config=config).num_errors == 1
    restored = tune.Tuner.restore(
        f"{store.root}/run",
        Counting,
        resume_errored=True,
        storage_filesystem=store.filesystem,
        executor=three_nodes(),
    ).fit()
    assert [row["count"] for row in rows(restored[0])] == [1, 2, 3, 4]
    assert list(checkpoints(store).values()) == [numbered(*range(STEPS))]


@pytest.mark.parametrize("artifacts", [True, False])
def test_other_files_are_uploaded_as_the_config_says(store: RemoteStore, artifacts: bool) -> None:
    results = fit(
        store,
        writing,
        three_nodes(),
        log_to_file=True,
        sync_config=tune.SyncConfig(sync_artifacts=artifacts),
    )
    assert not results.errors
    for result in results:
        trial = os.path.basename(str(result.path))
        there = {
            name.removeprefix(f"{trial}/"): store.child("run").read(name)
            for name in store.child("run").files()
            if name.startswith(f"{trial}/")
        }
        assert "result.json" in there and b"reported" not in (there["result.json"] or b"")
        if artifacts:
            assert result.config is not None
            assert there["note"] == there["deep/note"] == b"%d" % result.config["x"]
            assert there["stdout"] == b"hello\n"
        else:
            assert not there.keys() & {"note", "deep/note", "stdout"}


def writing(config: dict[str, Any]) -> None:
    print("hello")
    Path("deep").mkdir()
    for path in ("note", "deep/note"):
        Path(path).write_text(str(config["x"]))
    tune.report({"x": config["x"]})


def test_exported_models_are_uploaded(store: RemoteStore) -> None:
    analysis = tune.run(
        Counting,
        name="run",
        config={"steps": 2},
        storage_path=store.root,
        storage_filesystem=store.filesystem,
        export_formats=["onnx"],
        executor=three_nodes(),
        verbose=0,
    )
    names = store.child("run").files()
    assert f"{analysis.trials[0].dirname}/exported_onnx" in names


def test_a_store_in_the_memory_of_the_parent_is_refused_before_anything_runs() -> None:
    with pytest.raises(ClusterError, match="does not reach the storage of the run"):
        tune.Tuner(
            Counting,
            run_config=tune.RunConfig(name="run", storage_path="memory://refused", verbose=0),
            executor=three_nodes(),
        ).fit()


def test_a_node_keeps_the_latest_checkpoint_of_a_trial_only(store: RemoteStore) -> None:
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    results = fit(store, Looking, three_nodes(), {"x": 1}, checkpoint_config=config)
    expected = [[], *([name] for name in numbered(0, 1, 2))]
    assert [row["here"] for row in rows(results[0])] == expected
    assert len(results[0].best_checkpoints) == STEPS


class Looking(Counting):
    """Counts, and tells which checkpoints are in its directory."""

    def step(self) -> dict[str, Any]:
        here = [name for name in os.listdir(self.logdir) if name.startswith("checkpoint_")]
        return {**super().step(), "here": here}


def test_workers_are_used_again_for_other_trials(store: RemoteStore) -> None:
    results = fit(
        store,
        Naming,
        ClusterExecutor(LocalEngine([{"CPU": 1}])),
        tune_config=tune.TuneConfig(reuse_actors=True),
        sync_config=tune.SyncConfig(sync_artifacts=True),
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
    )
    assert not results.errors
    assert len({row["pid"] for result in results for row in rows(result)}) == 1
    for result in results:
        assert result.config is not None
        trial = os.path.basename(str(result.path))
        assert store.child("run").read(f"{trial}/x") == b"%d" % result.config["x"]
    assert list(checkpoints(store).values()) == [numbered(0)] * 4


class Naming(Counting):
    """Counts, and writes ``x`` into a file of its directory."""

    def step(self) -> dict[str, Any]:
        Path("x").write_text(str(self.config["x"]))
        return super().step()


def test_files_are_uploaded_while_a_trial_runs(store: RemoteStore) -> None:
    results = fit(
        store,
        waits_for_its_note,
        three_nodes(),
        {"x": 1, "place": os.path.join(store.root, "run")},
        sync_config=tune.SyncConfig(sync_artifacts=True, sync_period=1),
    )
    assert not results.errors
    assert [row["note"] for row in rows(results[0])] == ["written"]


def waits_for_its_note(config: dict[str, Any]) -> None:
    Path("note").write_text("written")
    there = Path(config["place"], os.path.basename(os.getcwd()), "note")
    deadline = time.monotonic() + 60
    while not there.exists():
        assert time.monotonic() < deadline
    tune.report({"note": "written"})


class OwnEnvironments(LocalEngine):
    """Two nodes with environment variables of their own.

    Args:
        environments: The variables of each.
    """

    def __init__(self, *environments: Mapping[str, str]) -> None:
        super().__init__([{"CPU": 1}] * len(environments))
        self.environments = environments

    def make_relay(self, node_id: str) -> Relay:
        number = int(node_id.removeprefix("node-")) - 1
        return Relay(node_id, environment={**os.environ, **self.environments[number]})


class RewritesItsNote(Counting):
    """Writes a file of the same size in each step; waits until all trials have started."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        Path("note").write_text(str(self.count))
        meet(self.config)
        return {**result, "off_s": off_here_s()}


def meet(config: dict[str, Any]) -> None:
    """Waits until two trials are here."""
    Path(config["place"], f"here-{config['x']}").touch()
    deadline = time.monotonic() + 60
    while len(list(Path(config["place"]).glob("here-*"))) < 2:
        assert time.monotonic() < deadline


def test_clocks_of_nodes_that_are_an_hour_off_lose_no_file_and_no_checkpoint(
    store: RemoteStore, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    engine = OwnEnvironments(*(clock_that_is_off(off_s, modules) for off_s in (HOUR_S, -HOUR_S)))
    place = tmp_path / "place"
    place.mkdir()
    space: dict[str, Any] = {"x": tune.grid_search([1, 2]), "place": str(place)}
    # Each trial fails once, and may go on at the other node.
    space |= {"fail_at": 3, "once": tune.sample_from(lambda config: f"{place}/once-{config['x']}")}
    results = fit(
        store,
        RewritesItsNote,
        ClusterExecutor(engine),
        space,
        sync_config=tune.SyncConfig(sync_artifacts=True, sync_period=1),
        failure_config=tune.FailureConfig(max_failures=1),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2),
    )
    assert not results.errors
    found = [rows(result) for result in results]
    assert [[row["count"] for row in each] for each in found] == [[1, 2, 3, 4]] * 2
    assert {row["off_s"] for each in found for row in each} == {HOUR_S, -HOUR_S}
    assert list(checkpoints(store).values()) == [numbered(2, 3)] * 2
    for result in results:
        trial = os.path.basename(str(result.path))
        assert store.child("run").read(f"{trial}/note") == b"4"


class Large(Counting):
    """Saves more than there is room for on a small disk."""

    def step(self) -> dict[str, Any]:
        meet(self.config)
        return super().step()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        Path(checkpoint_dir, "large").write_bytes(bytes(4 * SMALL_BYTES))
        return super().save_checkpoint(checkpoint_dir)


SMALL_BYTES = 2**20


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Mounts a disk of :data:`SMALL_BYTES`; raises CalledProcessError without the right to."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def may_mount(directory: Path) -> bool:
    """Returns whether this process may mount file systems."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError), small_disk(directory):
        return True
    return False


class NoLargeFiles(tune.Callback):
    """Lets the processes of one node write no large file: for all who may mount nothing."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine

    def on_trial_start(self, *arguments: Any, **info: Any) -> None:
        limits = (SMALL_BYTES, SMALL_BYTES)
        agent = psutil.Process(self.engine.agent_pids()["node-1"])
        for each in (agent, *agent.children(recursive=True)):
            resource.prlimit(each.pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("kind", ["mounted", "limited"])
def test_a_full_disk_of_a_node_is_an_error_of_its_trials_only(
    store: RemoteStore, tmp_path: Path, kind: str
) -> None:
    place, disk = tmp_path / "place", tmp_path / "disk"
    place.mkdir()
    if kind == "mounted" and not may_mount(tmp_path / "tried"):
        pytest.skip("Needs the right to mount a file system. The other case needs none.")
    engine = OwnEnvironments({"TMPDIR": str(disk)}, {})
    with small_disk(disk) if kind == "mounted" else contextlib.nullcontext():
        disk.mkdir(exist_ok=True)
        results = fit(
            store,
            Large,
            ClusterExecutor(engine),
            {"x": tune.grid_search([1, 2]), "place": str(place)},
            callbacks=[NoLargeFiles(engine)] if kind == "limited" else [],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        )
    [failed] = [result for result in results if result.error]
    text = str(failed.error)
    assert ("No space left on device" if kind == "mounted" else "File too large") in text
    assert "node-1" in text and str(failed.path) in text
    [other] = [result for result in results if not result.error]
    assert [row["count"] for row in rows(other)] == [1, 2, 3, 4]
    assert list(checkpoints(store).values()) == [numbered(0, 1, 2, 3)]


def test_files_that_cannot_be_uploaded_are_told_and_stop_no_trial(
    store: RemoteStore, caplog: pytest.LogCaptureFixture
) -> None:
    results = fit(
        store,
        blocks_its_note,
        three_nodes(),
        {"x": 1, "place": os.path.join(store.root, "run")},
        sync_config=tune.SyncConfig(sync_artifacts=True),
    )
    assert not results.errors
    assert "The node node-" in caplog.text
    assert "is lost" in caplog.text


def blocks_its_note(config: dict[str, Any]) -> None:
    Path("note").write_text("written")
    Path(config["place"], os.path.basename(os.getcwd()), "note").mkdir(parents=True)
    tune.report({"x": 1})


def test_a_checkpoint_that_the_store_has_lost_fails_its_trial(
    store: RemoteStore, tmp_path: Path
) -> None:
    space = {"x": 1, "fail_at": 3, "once": str(tmp_path / "once")}
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    fit(store, Counting, three_nodes(), space, checkpoint_config=config)
    (trial,) = checkpoints(store)
    shutil.rmtree(Path(store.root, "run", trial, *numbered(1)))
    restored = tune.Tuner.restore(
        f"{store.root}/run",
        Counting,
        resume_errored=True,
        storage_filesystem=store.filesystem,
        executor=three_nodes(),
    ).fit()
    text = str(restored.errors[0])
    assert "A checkpoint cannot be fetched on the node node-" in text
    assert f"{trial}/{numbered(1)[0]}" in text


def test_a_full_disk_of_a_node_fails_the_trial_and_names_the_node(store: RemoteStore) -> None:
    config = tune.CheckpointConfig(checkpoint_frequency=1)
    results = fit(store, FillsTheDisk, three_nodes(), checkpoint_config=config)
    (error,) = results.errors
    assert "No space left on device" in str(error)
    assert "on the node node-" in str(error)
    assert sorted(len(rows(result)) for result in results) == [1, STEPS, STEPS, STEPS]


class FillsTheDisk(Counting):
    """Its checkpoints are on a full disk in one trial."""

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        if self.config["x"] == 1:
            os.symlink("/dev/full", os.path.join(checkpoint_dir, "state"))
            with open(os.path.join(checkpoint_dir, "state"), "wb", buffering=0) as file:
                file.write(b"state")
        return super().save_checkpoint(checkpoint_dir)
