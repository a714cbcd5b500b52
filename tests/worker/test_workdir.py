"""Working directory, output files and environment of trials."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.trainable.trainable import Trainable
from localtune.worker.workdir import Surroundings, explain_missing_file, wants_trial_dir
from tests.runs.lifecycle.programs import START_METHODS

pytestmark = pytest.mark.slow

EVERYWHERE = [*START_METHODS, "inprocess"]


def fit(
    trainable: Any, tmp_path: Path, executor: str, config: dict[str, Any] | None = None, **run: Any
) -> Any:
    return tune.Tuner(
        trainable,
        param_space=config or {},
        tune_config=tune.TuneConfig(reuse_actors=run.pop("reuse_actors", False)),
        run_config=tune.RunConfig(storage_path=tmp_path / "results", verbose=0, **run),
        executor=executor
        if executor == "inprocess"
        else tune.ProcessExecutor(num_cpus=1, start_method=executor),
    ).fit()


def tells_where_it_is(config: dict[str, Any]) -> dict[str, Any]:
    return {"cwd": os.getcwd(), "original": os.environ["TUNE_ORIG_WORKING_DIR"]}


def reads_a_relative_path(config: dict[str, Any]) -> dict[str, Any]:
    with open("data.txt") as file:
        return {"text": file.read()}


def wraps_the_error(config: dict[str, Any]) -> None:
    try:
        reads_a_relative_path(config)
    except OSError as error:
        raise RuntimeError("no data") from error


@pytest.mark.parametrize("executor", EVERYWHERE)
@pytest.mark.parametrize("changes", [None, "1", "0"])
def test_a_variable_decides_where_trials_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, changes: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if changes is not None:
        monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", changes)
    result = fit(tells_where_it_is, tmp_path, executor)[0]
    assert result.metrics["cwd"] == (str(tmp_path) if changes == "0" else result.path)
    assert result.metrics["original"] == str(tmp_path)
    assert os.getcwd() == str(tmp_path)


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_an_original_directory_that_the_user_names_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", "/elsewhere")
    assert fit(tells_where_it_is, tmp_path, executor)[0].metrics["original"] == "/elsewhere"


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_a_variable_that_is_no_number_fails_the_trial_with_the_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "yes")
    (error,) = fit(tells_where_it_is, tmp_path, executor).errors
    assert "RAY_CHDIR_TO_TRIAL_DIR must be 1" in str(error)
    assert "but is 'yes'" in str(error)


@pytest.mark.parametrize("text", ["0", " 0 ", "00"])
def test_zero_keeps_trials_where_they_are(text: str) -> None:
    assert not wants_trial_dir({"RAY_CHDIR_TO_TRIAL_DIR": text})


@pytest.mark.parametrize("executor", EVERYWHERE)
@pytest.mark.parametrize("trainable", [reads_a_relative_path, wraps_the_error])
def test_a_file_that_is_where_the_run_was_started_gets_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, trainable: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("text")
    grid = fit(trainable, tmp_path, executor)
    for text in (str(grid.errors[0]), Path(grid[0].path, "error.txt").read_text()):
        assert f"use the absolute path {str(tmp_path / 'data.txt')!r}" in text
        assert "RAY_CHDIR_TO_TRIAL_DIR=0" in text


def test_a_file_that_is_nowhere_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(tmp_path))
    for error in (
        FileNotFoundError(2, "no such file", "nowhere.txt"),
        FileNotFoundError(2, "no such file", "/absolute/nowhere.txt"),
        FileNotFoundError("a text of its own"),
        ValueError("something else"),
    ):
        assert explain_missing_file(error) == ""


def test_a_name_in_bytes_and_a_context_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(tmp_path))
    (tmp_path / "here.txt").touch()
    error = ValueError("outer")
    error.__context__ = FileNotFoundError(2, "no such file", b"here.txt")
    assert "'here.txt' exists" in explain_missing_file(error)


def test_causes_in_a_circle_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(tmp_path))
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert explain_missing_file(first) == ""


class Prints(Trainable):
    """Prints its mark in every way and at every moment of its life."""

    def setup(self, config: dict[str, Any]) -> None:
        self.mark = config["mark"]
        self.print_all("setup")

    def step(self) -> dict[str, Any]:
        self.print_all("step")
        return {"done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.mark = new_config["mark"]
        self.print_all("reset")
        return True

    def cleanup(self) -> None:
        self.print_all("cleanup")

    def print_all(self, moment: str) -> None:
        libc = ctypes.CDLL(None)
        # A test runner puts streams of its own into the places of these.
        os.write(1, f"python-{self.mark}-{moment}\n".encode())
        libc.puts(f"c-{self.mark}-{moment}".encode())
        libc.fflush(None)
        subprocess.run(f"echo child-{self.mark}-{moment}; echo err-{self.mark} >&2", shell=True)


def words_of(result: Any, name: str) -> list[str]:
    return Path(result.path, name).read_text().split()


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_output_of_every_kind_goes_to_the_files_of_the_trial(
    tmp_path: Path, executor: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = fit(Prints, tmp_path, executor, {"mark": "a"}, log_to_file=True)[0]
    expected = [
        f"{way}-a-{moment}"
        for moment in ("setup", "step", "cleanup")
        for way in ("python", "c", "child")
    ]
    assert words_of(result, "stdout") == expected
    assert words_of(result, "stderr") == ["err-a"] * 3
    assert "-a-" not in capfd.readouterr().out


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_nothing_of_a_trial_gets_into_the_files_of_the_next_one(
    tmp_path: Path, executor: str
) -> None:
    config = {"mark": tune.grid_search(["a", "b", "c"])}
    grid = fit(Prints, tmp_path, executor, config, log_to_file=True, reuse_actors=True)
    for result in grid:
        mark = result.config["mark"]
        words = words_of(result, "stdout") + words_of(result, "stderr")
        assert words
        assert {word.split("-")[1] for word in words} == {mark}
    assert any("reset" in word for result in grid for word in words_of(result, "stdout"))


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_both_streams_can_share_a_file(tmp_path: Path, executor: str) -> None:
    result = fit(Prints, tmp_path, executor, {"mark": "a"}, log_to_file="both.log")[0]
    assert sorted(set(words_of(result, "both.log"))) == sorted(
        {f"{way}-a-{when}" for way in ("python", "c", "child") for when in MOMENTS} | {"err-a"}
    )


MOMENTS = ("setup", "step", "cleanup")


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_two_names_are_two_files(tmp_path: Path, executor: str) -> None:
    result = fit(Prints, tmp_path, executor, {"mark": "a"}, log_to_file=("o.txt", "e.txt"))[0]
    assert len(words_of(result, "o.txt")) == 9
    assert len(words_of(result, "e.txt")) == 3


@pytest.mark.parametrize("log_to_file", [False, None, ""])
def test_without_files_output_stays_where_it_was(
    tmp_path: Path, log_to_file: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    result = fit(Prints, tmp_path, "template", {"mark": "a"}, log_to_file=log_to_file)[0]
    assert not Path(result.path, "stdout").exists()
    assert "child-a-step" in capfd.readouterr().out


def surroundings(tmp_path: Path, **options: Any) -> Surroundings:
    return Surroundings(str(tmp_path), **options)


def test_a_failed_change_leaves_all_as_it_was(tmp_path: Path) -> None:
    here, environment = os.getcwd(), dict(os.environ)
    changed = Surroundings(
        str(tmp_path), ("out", "no such folder/err"), {"LOCALTUNE_TEST_VARIABLE": "set"}
    )
    with pytest.raises(FileNotFoundError):
        changed.enter()
    assert os.getcwd() == here
    assert dict(os.environ) == environment
    assert os.fstat(1).st_ino != os.stat(tmp_path / "out").st_ino


def test_variables_are_set_unset_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALTUNE_TEST_OLD", "old")
    changed = surroundings(
        tmp_path, environment={"LOCALTUNE_TEST_OLD": None, "LOCALTUNE_TEST_NEW": "new"}
    )
    changed.enter()
    try:
        assert "LOCALTUNE_TEST_OLD" not in os.environ
        assert os.environ["LOCALTUNE_TEST_NEW"] == "new"
    finally:
        changed.leave()
    assert os.environ["LOCALTUNE_TEST_OLD"] == "old"
    assert "LOCALTUNE_TEST_NEW" not in os.environ


def test_the_rest_is_put_back_if_the_original_directory_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "original").mkdir()
    monkeypatch.chdir(tmp_path / "original")
    changed = surroundings(tmp_path, environment={"LOCALTUNE_TEST_NEW": "new"})
    changed.enter()
    (tmp_path / "original").rmdir()
    with pytest.raises(FileNotFoundError):
        changed.leave()
    assert "LOCALTUNE_TEST_NEW" not in os.environ
    monkeypatch.chdir(tmp_path)


class DeletesItsDirectory(Trainable):
    """Removes the directory it works in, as a careless script may."""

    def step(self) -> dict[str, Any]:
        subprocess.run(["rm", "-rf", os.getcwd()], check=True)
        return {"value": 1}


def test_in_one_process_a_lost_trial_directory_fails_the_trial_only(tmp_path: Path) -> None:
    from localtune.execution.in_process import InProcessExecutor
    from localtune.testing.executor_contract import ExecutorSession, expect
    from localtune.worker import messages

    here = os.getcwd()
    with ExecutorSession(InProcessExecutor(), DeletesItsDirectory, tmp_path) as session:
        worker = session.start()
        expect(session.answer(worker), messages.Ready)
        expect(session.ask(worker, messages.Train()), messages.Trained)
        failed = expect(session.ask(worker, messages.Train()), messages.Failed)
        assert failed.type_name == "FileNotFoundError"
        assert os.getcwd() == here
