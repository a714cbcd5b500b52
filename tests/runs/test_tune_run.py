"""tune.run and tune.run_experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TuneError
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from tests.small_runs import (
    Counting,
    Recorder,
    checkpoint_names,
    processes,
    reporting,
    reporting_checkpoints,
    rows,
)


def run(trainable: Any, path: Path, **options: Any) -> tune.ExperimentAnalysis:
    defaults: dict[str, Any] = {"storage_path": path, "verbose": 0, "executor": "inprocess"}
    return tune.run(trainable, **{**defaults, **options})


def test_run_returns_an_analysis(tmp_path: Path) -> None:
    analysis = run(
        reporting,
        tmp_path,
        name="mine",
        config={"x": tune.grid_search([1, 3, 2])},
        metric="score",
        mode="max",
        num_samples=2,
    )
    assert analysis.experiment_path == str(tmp_path / "mine")
    assert len(analysis.trials) == 6
    assert analysis.best_config == {"x": 3}


@pytest.mark.parametrize("search_alg", ["random", "variant_generator", BasicVariantGenerator()])
@pytest.mark.parametrize("scheduler", ["fifo", "FIFO", FIFOScheduler()])
def test_search_and_scheduling_by_name_or_object(
    tmp_path: Path, search_alg: Any, scheduler: Any
) -> None:
    analysis = run(reporting, tmp_path, search_alg=search_alg, scheduler=scheduler)
    assert analysis.trials[0].last_result["score"] == 1


def test_names_are_by_default_those_of_the_trainable_and_the_time(tmp_path: Path) -> None:
    paths = {run(reporting, tmp_path).experiment_path for _ in range(2)}
    assert len(paths) == 2
    assert all(Path(path).name.startswith("reporting_20") for path in paths)


def test_several_arguments_reach_the_trials(tmp_path: Path) -> None:
    recorder = Recorder()
    analysis = run(
        Counting,
        tmp_path,
        name="all",
        stop={"count": 2},
        time_budget_s=1000,
        config={"steps": 9},
        num_samples=3,
        max_concurrent_trials=1,
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1),
        log_to_file="log",
        trial_name_creator=lambda trial: f"name_{trial.trial_id[-1]}",
        trial_dirname_creator=lambda trial: f"dir_{trial.trial_id[-1]}",
        sync_config=tune.SyncConfig(),
        callbacks=[recorder],
        reuse_actors=True,
        executor=processes(1),
    )
    assert [str(trial) for trial in analysis.trials] == ["name_0", "name_1", "name_2"]
    for number, trial in enumerate(analysis.trials):
        assert trial.path == str(tmp_path / "all" / f"dir_{number}")
        assert [row["nested"]["resets"] for row in rows(trial)] == [number] * 2
        assert checkpoint_names(trial) == ["checkpoint_000001"]
        assert Path(trial.path, "log").exists()
    assert recorder.calls[-1] == ("end", 3)


# -- resources ----------------------------------------------------------------------------------


def test_a_trial_gets_resources_per_trial(tmp_path: Path) -> None:
    trial = run(reporting, tmp_path, resources_per_trial={"cpu": 2}, executor=processes(2)).trials[
        0
    ]
    assert trial.placement_group_factory is not None
    assert trial.placement_group_factory.required_resources == {"CPU": 2.0}


def test_resources_asked_for_twice_are_an_error(tmp_path: Path) -> None:
    trainable = tune.with_resources(reporting, {"cpu": 1})
    with pytest.raises(TuneError, match="asked for twice: by resources_per_trial"):
        run(trainable, tmp_path, resources_per_trial={"cpu": 2})


@pytest.mark.parametrize("request_", [{"cpu": 0}, {"cpu": -1}, "two"])
def test_resources_that_make_no_sense_are_refused_before_the_run(
    tmp_path: Path, request_: Any
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        run(reporting, tmp_path, resources_per_trial=request_)
    assert list(tmp_path.iterdir()) == []


# -- export -------------------------------------------------------------------------------------


@pytest.mark.parametrize("formats", ["model", ["model"], ["model", "onnx"]])
def test_a_trial_is_exported_at_its_end(tmp_path: Path, formats: Any) -> None:
    trial = run(Counting, tmp_path, export_formats=formats).trials[0]
    names = [formats] if isinstance(formats, str) else formats
    assert sorted(path.name for path in Path(trial.path).glob("exported_*")) == [
        f"exported_{name}" for name in names
    ]


def test_a_class_may_have_formats_of_its_own(tmp_path: Path) -> None:
    trial = run(Counting, tmp_path, export_formats=["Torch Script"]).trials[0]
    assert [path.name for path in Path(trial.path).glob("exported_*")] == ["exported_Torch Script"]


def test_an_unknown_format_of_a_class_without_its_own_is_refused_before_the_run(
    tmp_path: Path,
) -> None:
    with pytest.raises(tune.TuneError, match=r"export_formats must be among .*'torch'"):
        run(reporting, tmp_path, export_formats=["torch"])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_fails_the_trial(tmp_path: Path) -> None:
    class CannotExport(Counting):
        def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
            raise RuntimeError("no such format")

    analysis = run(CannotExport, tmp_path, export_formats=["model"], raise_on_failed_trial=False)
    assert analysis.trials[0].status == "ERROR"
    assert isinstance(analysis.trials[0].error, RuntimeError)
    assert len(rows(analysis.trials[0])) == 3


# -- deprecated and removed arguments -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"checkpoint_freq": 2}, ["checkpoint_000000"]),
        ({"checkpoint_at_end": True}, ["checkpoint_000000"]),
        ({"checkpoint_freq": 1, "keep_checkpoints_num": 1}, ["checkpoint_000002"]),
        (
            {"checkpoint_freq": 1, "keep_checkpoints_num": 1, "checkpoint_score_attr": "loss"},
            ["checkpoint_000000", "checkpoint_000002"],
        ),
        (
            {"checkpoint_freq": 1, "keep_checkpoints_num": 1, "checkpoint_score_attr": "min-loss"},
            ["checkpoint_000002"],
        ),
    ],
)
def test_deprecated_arguments_still_work(
    tmp_path: Path, options: dict[str, Any], names: list[str]
) -> None:
    with pytest.warns(DeprecationWarning, match="pass checkpoint_config=CheckpointConfig"):
        analysis = run(Counting, tmp_path, **options)
    assert checkpoint_names(analysis.trials[0]) == names


def test_checkpoints_configured_twice_are_an_error(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="configured twice"):
        run(Counting, tmp_path, checkpoint_config=tune.CheckpointConfig(), checkpoint_freq=1)


@pytest.mark.parametrize(
    ("option", "remedy"),
    [({"local_dir": "/x"}, "storage_path"), ({"chdir_to_trial_dir": False}, "RAY_CHDIR")],
)
def test_removed_arguments_name_their_replacements(
    tmp_path: Path, option: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(DeprecationWarning, match=remedy):
        run(reporting, tmp_path, **option)


# -- experiments --------------------------------------------------------------------------------


def test_run_takes_experiments_and_lists(tmp_path: Path) -> None:
    one = tune.Experiment("one", reporting, config={"x": 1}, storage_path=tmp_path)
    two = tune.Experiment("two", Counting, storage_path=tmp_path, num_samples=2)
    assert [t.last_result["score"] for t in run(one, tmp_path).trials] == [1]
    trials = run([one, two, reporting], tmp_path).trials
    assert [trial.trainable_name for trial in trials] == [
        *("reporting", "Counting", "Counting", "reporting")
    ]
    with pytest.raises(ValueError, match="the list of experiments is empty"):
        run([], tmp_path)


SPECS: dict[str, dict[str, Any]] = {
    "first": {"run": reporting, "config": {"x": 2}, "num_samples": 2},
    "second": {"run": "ns/registered", "stop": {"count": 2}, "env": "Pole"},
}


@pytest.mark.parametrize("concurrent", [True, False])
def test_run_experiments_takes_specs(tmp_path: Path, concurrent: bool) -> None:
    tune.register_trainable("ns/registered", Counting)
    specs = {name: {**spec, "storage_path": tmp_path} for name, spec in SPECS.items()}
    recorder = Recorder()
    trials = tune.run_experiments(
        specs, verbose=0, executor="inprocess", concurrent=concurrent, callbacks=[recorder]
    )
    assert [Path(trial.path).parent.name for trial in trials] == ["first", "first", "second"]
    assert trials[0].last_result["score"] == 2
    assert trials[2].config == {"env": "Pole"}
    assert trials[2].last_result["count"] == 2
    assert [call for call in recorder.calls if call[0] == "end"] == [("end", 2), ("end", 1)]


def test_run_experiments_takes_experiments(tmp_path: Path) -> None:
    one = tune.Experiment("one", reporting, storage_path=tmp_path)
    two = tune.Experiment("two", reporting, storage_path=tmp_path)
    for experiments in (one, [one, two], {"any": one}):
        trials = tune.run_experiments(experiments, verbose=0, executor="inprocess")
        assert len(trials) == (2 if isinstance(experiments, list) else 1)


def test_run_experiments_raises_for_failed_trials(tmp_path: Path) -> None:
    spec = {"run": Counting, "config": {"fail_at": 1}, "storage_path": tmp_path}
    options: dict[str, Any] = {"verbose": 0, "executor": "inprocess"}
    with pytest.raises(TuneError, match="Trials did not complete"):
        tune.run_experiments({"a": spec}, **options)
    trials = tune.run_experiments({"a": spec}, raise_on_failed_trial=False, **options)
    assert [trial.status for trial in trials] == ["ERROR"]


def test_run_experiments_resumes(tmp_path: Path) -> None:
    config = {"fail_at": 3, "once": str(tmp_path / "once")}
    checkpoint_config = tune.CheckpointConfig(checkpoint_frequency=1)
    spec = {
        "run": Counting,
        "config": config,
        "storage_path": tmp_path,
        "checkpoint_config": checkpoint_config,
    }
    options: dict[str, Any] = {"verbose": 0, "executor": "inprocess"}
    tune.run_experiments({"a": spec}, raise_on_failed_trial=False, **options)
    (trial,) = tune.run_experiments({"a": spec}, resume="AUTO+ERRORED", **options)
    assert [row["count"] for row in rows(trial)] == [1, 2, 3]
    assert rows(trial)[-1]["iterations_since_restore"] == 1


def test_a_scheduler_serves_run_experiments(tmp_path: Path) -> None:
    class StopsAtOnce(FIFOScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
            return self.STOP

    spec = {"run": reporting_checkpoints, "storage_path": tmp_path}
    (trial,) = tune.run_experiments(
        {"a": spec}, scheduler=StopsAtOnce(), verbose=0, executor="inprocess"
    )
    assert [row["step"] for row in rows(trial)] == [1]
    assert rows(trial)[-1]["done"] is True


def test_a_run_that_fails_ends_the_series(tmp_path: Path) -> None:
    def broken(trial_id: str, result: dict[str, Any]) -> bool:
        raise RuntimeError("stop")

    one = tune.Experiment("one", reporting, stop=broken, storage_path=tmp_path)
    two = tune.Experiment("two", reporting, storage_path=tmp_path)
    with pytest.raises(TuneError, match="The stopper raised RuntimeError"):
        tune.run_experiments([one, two], verbose=0, executor="inprocess")
    assert not (tmp_path / "two").exists()
