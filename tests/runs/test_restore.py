"""Taking up a run that was killed, interrupted, or whose trials failed."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import StorageError, TuneError
from localtune.search import BasicVariantGenerator
from tests.runs.test_stopping import StopAll
from tests.small_runs import (
    CannotSave,
    Counting,
    Program,
    Recorder,
    Resumable,
    begin_only,
    fit,
    make_tuner,
    processes,
    rows,
    statuses,
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The storage path of a run that was killed: trials ended, failed, running, not yet made."""
    path = tmp_path_factory.mktemp("killed")
    program = Program(f"resumable_tuner(Path({str(path)!r}), Path({str(path / 'go')!r})).fit()")
    program.wait_for("saved 2 3")
    program.end(signal.SIGKILL)
    yield path


@pytest.fixture
def moved(killed: Path, tmp_path: Path) -> Path:
    """A copy of the killed run, elsewhere and under another name."""
    (killed / "go").touch()
    return Path(shutil.copytree(killed / "run", tmp_path / "moved" / "elsewhere"))


def restore(path: Path, **options: Any) -> Any:
    return tune.Tuner.restore(path, Resumable, executor="inprocess", **options)


def counts(grid: tune.ResultGrid) -> list[list[int]]:
    return [[row["count"] for row in rows(result)] for result in grid]


WHOLE = [1, 2, 3, 4, 5, 6]


def test_a_killed_run_goes_on_where_it_was(moved: Path) -> None:
    tuner = restore(moved)
    before = tuner.get_results()
    assert statuses(before) == ["TERMINATED", "ERROR", "INTERRUPTED"]
    grid = tuner.fit()
    assert statuses(grid) == ["TERMINATED", "ERROR", "TERMINATED", "TERMINATED"]
    assert counts(grid) == [WHOLE, [1, 2], WHOLE, WHOLE]
    assert all(result.path.startswith(f"{moved}/") for result in grid)
    assert grid.experiment_path == str(moved)
    restored = rows(grid[2])[-1]
    assert restored["training_iteration"] == 6
    assert restored["iterations_since_restore"] == 3
    ids = [result.metrics["trial_id"] for result in grid]
    assert [each.metrics["trial_id"] for each in before] == ids[:3]
    assert len({each.rpartition("_")[0] for each in ids}) == 1, "the numbering goes on"


def test_no_trial_that_ended_runs_again(moved: Path) -> None:
    tuner = restore(moved)
    tuner._spec.run_config.callbacks = [recorder := Recorder()]
    tuner.fit()
    assert {call[1] for call in recorder.calls if call[0] == "result"} == {2, 3}


def test_unfinished_trials_may_be_left_as_they_are(moved: Path) -> None:
    grid = restore(moved, resume_unfinished=False).fit()
    assert statuses(grid) == ["TERMINATED", "ERROR", "TERMINATED", "TERMINATED"]
    assert counts(grid) == [WHOLE, [1, 2], [1, 2, 3], WHOLE]


def test_resume_errored_goes_on_from_the_last_checkpoint(moved: Path) -> None:
    grid = restore(moved, resume_errored=True).fit()
    assert statuses(grid) == ["TERMINATED"] * 4
    assert counts(grid) == [WHOLE] * 4
    assert rows(grid[1])[-1]["iterations_since_restore"] == 4
    assert grid[1].error is None


def test_restart_errored_starts_anew(moved: Path) -> None:
    grid = restore(moved, restart_errored=True).fit()
    assert counts(grid) == [WHOLE] * 4
    assert rows(grid[1])[-1]["iterations_since_restore"] == 6
    # Nothing stays of the checkpoints that it had before.
    found = {path.name for path in Path(grid[1].path).iterdir() if "checkpoint" in path.name}
    assert found == {os.path.basename(each.path) for each, _ in grid[1].best_checkpoints}


def test_a_finished_run_returns_its_results_at_once(moved: Path) -> None:
    restore(moved, resume_errored=True).fit()
    tuner = restore(moved)
    tuner._spec.run_config.callbacks = [recorder := Recorder()]
    grid = tuner.fit()
    assert recorder.calls == [("end", 4)]
    assert counts(grid) == [WHOLE] * 4
    assert grid.get_best_result().metrics["count"] == 6


def test_results_can_be_read_without_running(moved: Path) -> None:
    grid = restore(moved).get_results()
    assert [result.metrics["count"] for result in grid] == [6, 2, 3]
    assert isinstance(grid[1].error, ValueError)
    assert grid[0].checkpoint.path.startswith(f"{moved}/")
    assert Path(grid[0].checkpoint.path).is_dir()


def test_fit_after_a_resumed_fit_is_a_new_session(moved: Path) -> None:
    tuner = restore(moved)
    tuner.fit()
    assert statuses(tuner.fit()) == ["TERMINATED"] * 4


@pytest.mark.parametrize("ending", ["", "/"])
def test_can_restore_says_whether_there_is_an_experiment(moved: Path, ending: str) -> None:
    assert tune.Tuner.can_restore(f"{moved}{ending}")
    assert tune.Tuner.can_restore(moved)
    assert not tune.Tuner.can_restore(f"{moved.parent}{ending}")
    assert not tune.Tuner.can_restore(moved / "gone")


def test_the_error_of_restoring_nothing_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no experiment to restore.*tuner\.pkl"):
        restore(tmp_path)


def test_another_trainable_is_refused(moved: Path) -> None:
    with pytest.raises(ValueError, match="ran the trainable 'Resumable', but got 'Counting'"):
        tune.Tuner.restore(moved, Counting)


def test_the_search_space_may_be_given_again_with_the_same_keys(moved: Path, killed: Path) -> None:
    space = {"number": tune.grid_search([0, 1, 2, 3]), "go": str(killed / "go"), "steps": 6}
    assert counts(restore(moved, param_space=space).fit())[3] == WHOLE


def test_other_keys_in_the_search_space_are_named(moved: Path) -> None:
    with pytest.raises(ValueError, match=r"Missing: \['go', 'number'\]; new: \['other'\]"):
        restore(moved, param_space={"steps": 6, "other": 1})


def test_restore_is_no_method_of_a_tuner(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="class method"):
        make_tuner(Counting, tmp_path).restore(tmp_path, Counting)


def test_a_run_that_never_began_can_be_restored(tmp_path: Path) -> None:
    begin_only(make_tuner(Counting, tmp_path))
    tuner = tune.Tuner.restore(tmp_path / "run", Counting, executor="inprocess")
    assert len(tuner.get_results()) == 0
    assert counts(tuner.fit()) == [[1, 2, 3]]


def test_settings_come_from_the_experiment(tmp_path: Path) -> None:
    begin_only(make_tuner(Counting, tmp_path, {"steps": 9}, stop={"count": 2}, num_samples=2))
    grid = tune.Tuner.restore(tmp_path / "run", Counting, executor="inprocess").fit()
    assert counts(grid) == [[1, 2], [1, 2]]


def test_a_callback_that_cannot_be_kept_does_not_hinder(tmp_path: Path) -> None:
    callback = Recorder()
    callback.calls.append((threading.Lock(),))
    make_tuner(Counting, tmp_path, callbacks=[callback]).fit()
    grid = tune.Tuner.restore(tmp_path / "run", Counting, executor="inprocess").fit()
    assert statuses(grid) == ["TERMINATED"]


@pytest.mark.parametrize("searcher", [None, BasicVariantGenerator(max_concurrent=1)])
def test_samples_that_were_not_drawn_yet_are_drawn_after_a_budget(
    tmp_path: Path, searcher: Any
) -> None:
    options: dict[str, Any] = {
        "config": {"steps": 2},
        "name": "run",
        "num_samples": 3,
        "storage_path": tmp_path,
        "search_alg": searcher,
        "max_concurrent_trials": 1,
        "verbose": 0,
        "executor": "inprocess",
    }
    first = tune.run(Counting, stop=StopAll(3), **options)
    assert [trial.status for trial in first.trials] == ["TERMINATED"] * 2
    if searcher is not None:
        options["search_alg"] = BasicVariantGenerator(max_concurrent=1)
    second = tune.run(Counting, resume=True, **options)
    assert [trial.status for trial in second.trials] == ["TERMINATED"] * 3
    assert second.trials[2].last_result["count"] == 2


# -- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_an_interrupted_run_returns_its_results_and_can_be_resumed(
    tmp_path: Path, number: int
) -> None:
    go = tmp_path / "go"
    program = Program(
        f"grid = resumable_tuner(Path({str(tmp_path)!r}), Path({str(go)!r}), 3,\n"
        "    stop=lambda trial_id, result: False).fit()\n"
        "print('returned', statuses(grid), flush=True)\n"
    )
    program.wait_for("saved 0 1")
    assert "returned" in program.end(number)
    assert program.process.returncode == 0
    go.touch()
    grid = tune.Tuner.restore(tmp_path / "run", Resumable, executor=processes(1)).fit()
    assert counts(grid) == [WHOLE] * 3


def test_a_second_interrupt_ends_a_run_whose_step_hangs(tmp_path: Path) -> None:
    source = f"resumable_tuner(Path({str(tmp_path)!r}), Path('/gone'), 3, verbose=1).fit()"
    program = Program(source)
    program.wait_for("saved 2 3")
    program.process.send_signal(signal.SIGINT)
    program.wait_for("Press Ctrl-C again to end now")
    program.end(signal.SIGINT)
    assert program.process.returncode != 0
    grid = restore(tmp_path / "run").get_results()
    assert statuses(grid) == ["TERMINATED", "ERROR", "INTERRUPTED"]


# -- tune.run(resume=...) -------------------------------------------------------------------------


def resumed_statuses(path: Path, resume: Any, **options: Any) -> list[str]:
    analysis = tune.run(
        Resumable,
        name=path.name,
        storage_path=path.parent,
        config={"number": tune.grid_search([0, 1, 2, 3]), "go": "/", "steps": 6},
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        resume=resume,
        raise_on_failed_trial=False,
        max_concurrent_trials=1,
        verbose=0,
        executor="inprocess",
        **options,
    )
    lengths = [len(rows(trial)) for trial in analysis.trials]
    return [f"{trial.status} {n}" for trial, n in zip(analysis.trials, lengths, strict=True)]


@pytest.mark.parametrize(
    ("resume", "second", "third"),
    [
        (True, "ERROR 2", "TERMINATED 6"),
        ("AUTO", "ERROR 2", "TERMINATED 6"),
        ("auto", "ERROR 2", "TERMINATED 6"),
        ("AUTO+ERRORED", "TERMINATED 6", "TERMINATED 6"),
        ("AUTO+RESTART_ERRORED", "TERMINATED 6", "TERMINATED 6"),
        ("AUTO+ERRORED_ONLY", "TERMINATED 6", "TERMINATED 3"),
        ("AUTO+RESTART_ERRORED_ONLY", "TERMINATED 6", "TERMINATED 3"),
        ("AUTO+ERRORED+ERRORED_ONLY", "TERMINATED 6", "TERMINATED 3"),
    ],
)
def test_the_words_of_resume(moved: Path, resume: Any, second: str, third: str) -> None:
    assert resumed_statuses(moved, resume) == ["TERMINATED 6", second, third, "TERMINATED 6"]


def test_resume_config_says_it_in_detail(moved: Path) -> None:
    kinds = tune.ResumeConfig.ResumeType
    config = tune.ResumeConfig(
        finished=kinds.RESTART, unfinished=kinds.RESTART, errored=kinds.RESUME
    )
    found = resumed_statuses(moved, None, resume_config=config)
    assert found == ["TERMINATED 6"] * 4


@pytest.mark.parametrize("resume", [False, None])
def test_without_resume_the_run_is_a_new_one(moved: Path, resume: Any) -> None:
    assert resumed_statuses(moved, resume) == ["TERMINATED 6"] * 4


def test_resuming_where_there_is_nothing_starts_anew(tmp_path: Path) -> None:
    assert resumed_statuses(tmp_path / "new", "AUTO") == ["TERMINATED 6"] * 4


@pytest.mark.parametrize("word", ["LOCAL", "REMOTE", "PROMPT", "ERRORED_ONLY"])
def test_old_words_are_refused(word: str) -> None:
    with pytest.raises(DeprecationWarning, match='Write resume="AUTO"'):
        tune.run(Counting, resume=word)


@pytest.mark.parametrize("word", ["AUTO+ALL", "SOMETIMES", "AUTO+"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"resume .*AUTO|resume knows the suffixes ERRORED,"):
        tune.run(Counting, resume=word)


def test_a_limit_holds_for_trials_of_an_earlier_session(tmp_path: Path) -> None:
    class MostAtOnce(tune.Callback):
        most = 0

        def on_step_end(self, iteration, trials, **info):  # type: ignore[no-untyped-def]
            running = sum(trial.status == "RUNNING" for trial in trials)
            self.most = max(self.most, running)

    options: dict[str, Any] = {
        "name": "run",
        "num_samples": 4,
        "storage_path": tmp_path,
        "verbose": 0,
    }

    def broken(trial_id: str, result: dict[str, Any]) -> bool:
        raise RuntimeError("the first session ends here")

    with pytest.raises(TuneError, match="ends here"):
        tune.run(Counting, stop=broken, executor=processes(4), **options)
    callback = MostAtOnce()
    trials = tune.run(
        Counting,
        resume=True,
        max_concurrent_trials=1,
        callbacks=[callback],
        executor=processes(4),
        **options,
    ).trials
    assert [trial.status for trial in trials] == ["TERMINATED"] * 4
    assert callback.most == 1


def test_an_earlier_run_is_taken_up_as_it_was_and_the_latest_stays_the_latest(
    tmp_path: Path,
) -> None:
    first = {"fail_at": 2, "once": str(tmp_path / "once")}
    fit(Counting, tmp_path, first, num_samples=2, metric="loss", mode="min")
    fit(Counting, tmp_path, {"steps": 5}, metric="count", mode="max", seed=3)
    path = tmp_path / "run"
    before = (path / "tuner.pkl").read_bytes()

    tuner = tune.Tuner.restore(
        str(path), Counting, resume_errored=True, executor="inprocess", run=1
    )
    assert statuses(tuner.get_results()) == ["ERROR", "TERMINATED"]
    grid = tuner.fit()

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    assert [result.metrics["count"] for result in grid if result.metrics] == [3, 3]
    assert grid._experiment_analysis.default_metric == "loss"
    assert len(tune.ExperimentAnalysis(path, run=1).trials) == 2
    latest = tune.ExperimentAnalysis(path)
    assert (latest.run, [trial.last_result["count"] for trial in latest.trials]) == (2, [5])
    assert (path / "tuner.pkl").read_bytes() == before
    again = tune.Tuner.restore(str(path), Counting, executor="inprocess").fit()
    assert [result.metrics["count"] for result in again if result.metrics] == [5]


def test_a_run_of_which_no_tuner_is_on_record_cannot_be_taken_up(tmp_path: Path) -> None:
    tune.run(Counting, name="run", storage_path=str(tmp_path), verbose=0)
    fit(Counting, tmp_path, {"steps": 1})

    with pytest.raises(StorageError, match=r"The run 1 of .* cannot be taken up"):
        tune.Tuner.restore(str(tmp_path / "run"), Counting, run=1)
    with pytest.raises(ValueError, match="has no run 3"):
        tune.Tuner.restore(str(tmp_path / "run"), Counting, run=3)


def test_whether_trials_save_at_their_end_is_decided_anew(tmp_path: Path) -> None:
    fit(Counting, tmp_path, {"steps": 1})
    # As if the class had lost its methods since.
    cannot_save = type("Counting", (CannotSave,), {})

    tuner = tune.Tuner.restore(str(tmp_path / "run"), cannot_save, executor="inprocess")

    assert statuses(tuner.fit()) == ["TERMINATED"]


def test_an_experiment_of_another_version_is_said_to_be_that(tmp_path: Path) -> None:
    fit(Counting, tmp_path, {"steps": 1})
    path = tmp_path / "run"
    gone = b"clocaltune.gone\nThing\n."
    with contextlib.closing(sqlite3.connect(path / "experiment.db")) as connection:
        connection.execute("UPDATE trials SET origin = ?", (gone,))
        connection.commit()
    with pytest.raises(
        StorageError, match=r"experiment\.db.*another version of localtune wrote it"
    ):
        tune.ExperimentAnalysis(path)

    parts = pickle.loads((path / "tuner.pkl").read_bytes())
    (path / "tuner.pkl").write_bytes(pickle.dumps({**parts, "tune_config": gone}))
    with pytest.raises(StorageError, match=r"tuner\.pkl.*another version of localtune wrote it"):
        tune.Tuner.restore(str(path), Counting)
