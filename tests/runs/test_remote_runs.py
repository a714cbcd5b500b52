"""Whole runs with remote storage."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.analysis.result import Result
from localtune.checkpoint import Checkpoint
from localtune.error import StorageError
from tests.small_runs import Counting, make_tuner, reporting_checkpoints, rows
from tests.storage.stores import faulty_store


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: another one is another machine."""
    home = tmp_path / "machine_1"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(tmp_path / "machine_1")
    monkeypatch.setenv("HOME", str(tmp_path / "machine_2"))


def options(store: Any, **more: Any) -> dict[str, Any]:
    return {"storage_filesystem": store.filesystem, **more}


def test_a_run_is_in_the_store_when_it_has_ended(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    tuner = make_tuner(
        reporting_checkpoints, Path(store.root), {"steps": 2}, num_to_keep=1, **options(store)
    )
    result = tuner.fit()[0]
    assert result.path is not None
    trial = Path(result.path).name
    there = store.child("run").files()
    assert {"experiment.db", "tuner.pkl", f"{trial}/result.json", f"{trial}/params.pkl"} <= set(
        there
    )
    checkpoints = {name.split("/")[1] for name in there if "/checkpoint_" in name}
    assert checkpoints == {"checkpoint_000001"}
    assert "made_1" not in str(there)
    marker = store.child("run").read(f"{trial}/checkpoint_000001/.localtune_complete")
    assert marker is not None and json.loads(marker) == {"step": 1}


def test_artifacts_are_uploaded_on_request(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    config = tune.SyncConfig(sync_artifacts=True)
    make_tuner(
        reporting_checkpoints, Path(store.root), {"steps": 1}, **options(store, sync_config=config)
    ).fit()
    assert any(name.endswith("/made_1/step") for name in store.child("run").files())


@pytest.mark.parametrize("executor", ["inprocess", None])
def test_another_machine_goes_on_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: Any
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    space = {"steps": 5, "fail_at": 4, "once": str(tmp_path / "failed")}
    first = make_tuner(
        reporting_checkpoints, Path(store.root), space, executor=executor, **options(store)
    ).fit()
    assert first.num_errors == 1
    other_machine(tmp_path, monkeypatch)
    assert tune.Tuner.can_restore(f"{store.root}/run", store.filesystem)
    restored = tune.Tuner.restore(
        f"{store.root}/run",
        reporting_checkpoints,
        resume_errored=True,
        storage_filesystem=store.filesystem,
        executor=executor,
    )
    assert len(restored.get_results()) == 1
    result = restored.fit()[0]
    assert [row["step"] for row in rows(result)] == [1, 2, 3, 4, 5]
    assert result.checkpoint is not None
    # Files that this machine did not need are downloaded at their first use.
    early = result.best_checkpoints[0][0]
    assert not Path(early.path).exists()
    with early.as_directory() as path:
        assert Path(path, "step").read_text() == "1"


def test_a_class_goes_on_from_a_checkpoint_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    space = {"steps": 4, "fail_at": 3, "once": str(tmp_path / "failed")}
    make_tuner(
        Counting, Path(store.root), space, checkpoint_frequency=1, num_to_keep=1, **options(store)
    ).fit()
    other_machine(tmp_path, monkeypatch)
    result = tune.Tuner.restore(
        f"{store.root}/run",
        Counting,
        resume_errored=True,
        storage_filesystem=store.filesystem,
        executor="inprocess",
    ).fit()[0]
    assert [row["count"] for row in rows(result)] == [1, 2, 3, 4]


def test_an_unreachable_store_stops_no_run_and_the_next_one_brings_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, faults = faulty_store(tmp_path / "store")

    class Cut(tune.Callback):
        def on_step_begin(self, *arguments: Any, **info: Any) -> None:
            faults.refuse = True

    caplog.set_level(logging.WARNING)
    tuner = make_tuner(
        reporting_checkpoints,
        Path(store.root),
        {"steps": 2},
        **options(store, sync_config=tune.SyncConfig(sync_timeout=0), callbacks=[Cut()]),
    )
    result = tuner.fit()[0]
    assert result.metrics is not None and result.metrics["step"] == 2
    text = caplog.text
    assert text.count("does not have all of the experiment") == 1
    assert "Tuner.restore(" in text and str(Path(str(result.path)).parent) in text
    faults.refuse = False
    tune.run(
        reporting_checkpoints,
        name="run",
        resume=True,
        storage_path=store.root,
        storage_filesystem=store.filesystem,
        executor="inprocess",
        verbose=0,
    )
    names = store.child("run").files()
    assert sum(name.endswith(".localtune_complete") for name in names) == 2


def test_a_store_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    store, faults = faulty_store(tmp_path / "store")
    faults.refuse = True
    with pytest.raises(StorageError, match=r"cannot be used.*nobody is there.*credentials"):
        make_tuner(reporting_checkpoints, Path(store.root), **options(store))


def test_results_and_analyses_are_read_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    grid = make_tuner(reporting_checkpoints, Path(store.root), {"steps": 2}, **options(store)).fit()
    trial = Path(str(grid[0].path)).name
    other_machine(tmp_path, monkeypatch)
    result = Result.from_path(f"{store.root}/run/{trial}", store.filesystem)
    assert result.metrics is not None and result.metrics["step"] == 2
    assert len(result.best_checkpoints) == 2
    analysis = tune.ExperimentAnalysis(f"{store.root}/run", storage_filesystem=store.filesystem)
    assert analysis.results[analysis.trials[0].trial_id]["step"] == 2
    with pytest.raises(FileNotFoundError, match="no experiment to restore"):
        tune.Tuner.restore(f"{store.root}/none", Counting, storage_filesystem=store.filesystem)


def test_run_goes_on_with_the_state_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = faulty_store(tmp_path / "store")
    settings: dict[str, Any] = {
        "name": "run",
        "config": {"steps": 3, "fail_at": 3, "once": str(tmp_path / "failed")},
        "storage_path": store.root,
        "storage_filesystem": store.filesystem,
        "executor": "inprocess",
        "raise_on_failed_trial": False,
        "verbose": 0,
    }
    tune.run(reporting_checkpoints, **settings)
    other_machine(tmp_path, monkeypatch)
    analysis = tune.run(reporting_checkpoints, resume="AUTO+ERRORED", **settings)
    assert [trial.result_count for trial in analysis.trials] == [3]


def test_trials_start_from_a_checkpoint_in_memory() -> None:
    import fsspec

    filesystem = fsspec.filesystem("memory")
    filesystem.pipe_file("/start/step", b"2")
    try:
        analysis = tune.run(
            reporting_checkpoints,
            restore="memory://start",
            executor="inprocess",
            verbose=0,
        )
        assert [row["step"] for row in rows(Result.from_trial(analysis.trials[0]))] == [3]
        checkpoint = Checkpoint("memory://start")
        assert checkpoint.get_metadata() == {}
        with pytest.raises(ValueError, match="cannot be set"):
            checkpoint.set_metadata({})
    finally:
        filesystem.rm("/start", recursive=True)


def test_credentials_are_not_uploaded(tmp_path: Path) -> None:
    store, _ = faulty_store(tmp_path / "store")
    store.filesystem.storage_options["secret"] = "hunter2"
    make_tuner(reporting_checkpoints, Path(store.root), **options(store))
    for path in (tmp_path / "store").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()
