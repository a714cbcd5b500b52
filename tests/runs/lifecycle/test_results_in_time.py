"""Other processes see the results of a trial during its next step, and afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import signal
import sqlite3
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.controller import recorder
from localtune.storage.reading import load_trials
from localtune.tools.cli.main import main
from tests.runs.lifecycle.long_step import KINDS, REPORTS
from tests.runs.lifecycle.programs import DEADLINE_S, running, wait_until, wait_until_gone
from tests.small_runs import Counting, fit, processes, statuses

PROGRAM = ["-m", "tests.runs.lifecycle.long_step"]
NEVER = "1e9"


def losses_on_record(path: Path) -> list[float]:
    """Returns the content of the table of results."""
    with contextlib.closing(sqlite3.connect(path / "experiment.db")) as connection:
        rows = connection.execute("SELECT result FROM results ORDER BY number").fetchall()
    return [pickle.loads(blob)["loss"] for (blob,) in rows]


def digest(path: Path) -> dict[str, tuple[str, int]]:
    """Returns the files below a directory, with the time of each change."""
    return {
        str(each.relative_to(path)): (
            hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else "",
            each.stat().st_mtime_ns,
        )
        for each in path.rglob("*")
    }


def tell_seen(path: Path) -> tuple[int, float, int]:
    """Returns the number of results, the last loss and the least loss that readers see."""
    (trial,) = load_trials(str(path))
    stats = trial.metric_stats["loss"]
    assert stats.last == trial.last_result["loss"]
    return trial.result_count, trial.last_result["loss"], int(stats.min)


ALL_SEEN = (REPORTS, 10.0 - REPORTS, 10 - REPORTS)


def has_all(path: Path) -> bool:
    """Whether readers see all results."""
    with contextlib.suppress(ValueError, KeyError):
        return tell_seen(path) == ALL_SEEN
    return False


@pytest.mark.parametrize(
    ("kind", "executor"),
    [("function", "processes"), ("class", "processes"), ("class", "inprocess")],
)
def test_results_are_seen_while_their_trial_is_in_a_step(
    tmp_path: Path, kind: str, executor: str
) -> None:
    with running([*PROGRAM, kind, executor, str(recorder.INTERVAL_S)], tmp_path) as program:
        wait_until((tmp_path / "in step").exists, "the step begins")
        wait_until(lambda: has_all(tmp_path / "run"), "all results are seen")
        # The program does nothing else meanwhile.
        assert program.poll() is None
        (trial,) = load_trials(str(tmp_path / "run"))
        assert trial.status == "RUNNING"
        (tmp_path / "go on").touch()
        assert program.wait(DEADLINE_S) == 0, (tmp_path / "output").read_text()


def test_results_are_on_record_after_a_second_interrupt(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with running([*PROGRAM, "function", "processes", NEVER], tmp_path) as program:
        wait_until((tmp_path / "in step").exists, "the step begins")
        os.killpg(program.pid, signal.SIGINT)
        wait_until(lambda: "Interrupted" in output.read_text(), "the interrupt is noted")
        os.killpg(program.pid, signal.SIGINT)
        assert program.wait(DEADLINE_S) != 0
    assert "KeyboardInterrupt" in output.read_text()
    assert losses_on_record(tmp_path / "run") == [9.0, 8.0, 7.0, 6.0, 5.0]
    (trial,) = load_trials(str(tmp_path / "run"))
    assert trial.status == "INTERRUPTED"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, RuntimeError, GeneratorExit])
def test_results_are_on_record_after_any_exception_in_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    class Strikes(tune.Callback):
        """In the midst of the loop, after the fifth result."""

        seen = 0

        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            self.seen += 1

        def on_step_end(self, iteration, trials, **info):  # type: ignore[no-untyped-def]
            if self.seen == 5:
                raise error

    monkeypatch.setattr(recorder, "INTERVAL_S", float(NEVER))

    def train(config: dict[str, Any]) -> None:
        for step in range(1, 8):
            tune.report({"loss": 10.0 - step})

    with pytest.raises((tune.TuneError, error)):
        tune.Tuner(
            train,
            run_config=tune.RunConfig(
                name="run", storage_path=str(tmp_path), verbose=0, callbacks=[Strikes()]
            ),
            executor=processes(1),
        ).fit()

    assert losses_on_record(tmp_path / "run")[:5] == [9.0, 8.0, 7.0, 6.0, 5.0]


def test_trials_that_an_interrupt_cut_short_are_interrupted_ones(tmp_path: Path) -> None:
    class Interrupts(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            os.kill(os.getpid(), signal.SIGINT)

    grid = fit(
        Counting,
        tmp_path,
        num_samples=2,
        callbacks=[Interrupts()],
        executor=processes(1),
        max_concurrent_trials=1,
    )

    assert statuses(grid)[0] == "INTERRUPTED"
    assert statuses(tune.ResultGrid(tune.ExperimentAnalysis(tmp_path / "run"))) == statuses(grid)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A run that was killed before any but its first result was on record."""
    with running([*PROGRAM, "class", "processes", NEVER], tmp_path) as program:
        wait_until((tmp_path / "in step").exists, "the step begins")
        family = {child.pid for child in psutil.Process(program.pid).children(recursive=True)}
        os.kill(program.pid, signal.SIGKILL)
        program.wait(DEADLINE_S)
        (tmp_path / "go on").touch()
        wait_until_gone(family, DEADLINE_S)
    return tmp_path / "run"


def test_what_a_killed_run_did_not_record_is_read_from_its_files_and_nothing_is_written(
    killed: Path,
) -> None:
    before = digest(killed)

    assert tell_seen(killed) == ALL_SEEN
    (trial,) = tune.ExperimentAnalysis(killed).trials
    assert (trial.status, trial.last_result["training_iteration"]) == ("INTERRUPTED", REPORTS)
    result = tune.Result.from_path(trial.path)
    assert result.metrics is not None and result.metrics["training_iteration"] == REPORTS

    assert digest(killed) == before


def test_commands_show_all_of_a_killed_run_and_write_nothing(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(killed)
    commands = [
        ["ls", str(tmp_path)],
        ["ls", str(tmp_path), "--json"],
        ["show", str(killed)],
        ["show", str(killed), "0"],
        ["best", str(killed)],
        ["tail", str(killed), "0", "-f"],
        ["export", str(killed), "--to", "json", "-o", str(tmp_path / "trials.json")],
        ["report", str(killed), "-o", str(tmp_path / "report.html")],
    ]
    said = []
    for command in commands:
        assert main(command) == 0, command
        said.append(capsys.readouterr().out)

    assert digest(killed) == before
    assert "RUNNING" not in "".join(said) and "INTERRUPTED" in said[2]
    assert "loss=5" in said[0] and json.loads(said[1])[0]["trials"] == {"INTERRUPTED": 1}
    assert "loss = 5 (min, last)" in said[4]
    (row,) = json.loads((tmp_path / "trials.json").read_text())
    assert (row["status"], row["loss"]) == ("INTERRUPTED", 5)
    assert "1 interrupted" in (tmp_path / "report.html").read_text()


def test_the_next_run_records_results_that_a_killed_one_did_not(killed: Path) -> None:
    assert len(losses_on_record(killed)) < REPORTS

    grid = tune.Tuner.restore(
        str(killed), KINDS["class"], resume_unfinished=False, executor="inprocess"
    ).fit()

    assert grid[0].metrics is not None and grid[0].metrics["loss"] == 10.0 - REPORTS
    assert losses_on_record(killed) == [9.0, 8.0, 7.0, 6.0, 5.0]
    assert tell_seen(killed) == ALL_SEEN


def test_what_is_done_again_after_a_kill_stands_once(killed: Path) -> None:
    grid = tune.Tuner.restore(str(killed), KINDS["class"], executor="inprocess").fit()

    assert grid[0].metrics is not None and grid[0].metrics["training_iteration"] == REPORTS + 1
    assert losses_on_record(killed) == [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    frame = grid[0].metrics_dataframe
    assert frame is not None and list(frame["training_iteration"]) == [1, 2, 3, 4, 5, 6]
