"""However a worker ends, the run notices it, and what it had started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import WorkerDiedError
from localtune.execution.executor import Exited, WorkerEvent
from localtune.testing.chaos import ChaosTrainable
from localtune.testing.executor_contract import ExecutorSession, expect, leaves_a_note
from localtune.trainable.function_trainable import wrap_function
from localtune.worker import messages
from tests.runs.lifecycle import families
from tests.runs.lifecycle.programs import START_METHODS, read_ids, wait_until_gone

LIMIT_S = 2.0


@pytest.fixture(params=START_METHODS)
def start_method(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def session(
    tmp_path: Path, start_method: str, function: Callable[..., Any] | None = None, **options: Any
) -> ExecutorSession:
    executor = tune.ProcessExecutor(num_cpus=4, start_method=start_method, **options)
    trainable = ChaosTrainable if function is None else wrap_function(function)
    return ExecutorSession(executor, trainable, tmp_path)


def idle_worker(opened: ExecutorSession) -> tuple[int, int]:
    """Id and process id of a worker that waits for a command."""
    worker = opened.start()
    expect(opened.answer(worker), messages.Ready)
    return worker, opened.process_id(worker)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_is_noticed_while_the_parent_waits_without_end(
    tmp_path: Path, start_method: str, signum: signal.Signals
) -> None:
    with session(tmp_path, start_method) as opened:
        worker, pid = idle_worker(opened)
        os.kill(pid, signum)
        events: list[WorkerEvent] = []
        while not events:
            # Nothing but the end itself can wake this.
            events = opened.executor.wait(None)
        (exited,) = events
        assert isinstance(exited, Exited)
        assert exited.worker_id == worker
        assert exited.exit.exit_code == -signum
        assert opened.executor.process_ids() == {}


@pytest.mark.parametrize("end", ["normally", "kill"])
def test_what_a_trial_leaves_behind_ends_with_it(
    tmp_path: Path, start_method: str, end: str
) -> None:
    folder = tmp_path / "ids"
    folder.mkdir()
    config = {"folder": str(folder), "end": end}
    grid = families.fit(start_method, config, str(tmp_path / "results"))
    assert grid.num_errors == (end == "kill")
    started = read_ids(folder)
    assert len(started) == 5
    wait_until_gone(started, LIMIT_S)


def ignores_sigterm(config: dict[str, Any]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tune.report({"value": 1})
    Path("waiting").touch()
    while True:
        time.sleep(1)


def closes_everything(config: dict[str, Any]) -> None:
    tune.report({"value": 1})
    os.closerange(3, 1024)
    while True:
        time.sleep(1)


def stops_itself(config: dict[str, Any]) -> None:
    tune.report({"value": 1})
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_worker_that_ignores_sigterm_is_killed(tmp_path: Path, start_method: str) -> None:
    limits = {"stop_timeout_s": 0.1, "kill_timeout_s": 0.1}
    with session(tmp_path, start_method, ignores_sigterm, **limits) as opened:
        worker, _ = idle_worker(opened)
        expect(opened.ask(worker, messages.Train()), messages.Trained)
        opened.executor.send(worker, messages.Train())
        exit = opened.end(worker)
        assert exit.exit_code == -signal.SIGKILL
        assert "did not stop within 0.1 s" in exit.describe()


def test_a_worker_that_closes_its_pipe_is_given_up(tmp_path: Path, start_method: str) -> None:
    with session(tmp_path, start_method, closes_everything) as opened:
        worker, _ = idle_worker(opened)
        expect(opened.ask(worker, messages.Train()), messages.Trained)
        opened.executor.send(worker, messages.Train())
        exit = opened.exit_of(worker)
        assert exit.exit_code == -signal.SIGKILL
        assert "closed its pipe" in exit.describe()


@pytest.mark.parametrize("force", [False, True])
def test_a_worker_that_is_stopped_by_a_signal_can_be_ended(
    tmp_path: Path, start_method: str, force: bool
) -> None:
    limits = {"stop_timeout_s": 0.1, "kill_timeout_s": 0.1}
    with session(tmp_path, start_method, stops_itself, **limits) as opened:
        worker, _ = idle_worker(opened)
        expect(opened.ask(worker, messages.Train()), messages.Trained)
        opened.executor.send(worker, messages.Train())
        assert opened.end(worker, force=force).exit_code == -signal.SIGKILL


def test_a_stopped_worker_does_not_keep_a_large_command_from_being_sent(
    tmp_path: Path, start_method: str
) -> None:
    with session(tmp_path, start_method) as opened:
        worker, pid = idle_worker(opened)
        os.kill(pid, signal.SIGSTOP)
        opened.executor.send(worker, messages.Restore("nowhere", {"text": "x" * 4_000_000}))
        assert opened.end(worker, force=True).exit_code == -signal.SIGKILL


def test_a_large_config_arrives(tmp_path: Path, start_method: str) -> None:
    with session(tmp_path, start_method, reports_its_size) as opened:
        worker = opened.start({"text": "x" * 4_000_000})
        expect(opened.answer(worker), messages.Ready)
        assert (
            expect(opened.ask(worker, messages.Train()), messages.Trained).result["size"]
            == 4_000_000
        )


def reports_its_size(config: dict[str, Any]) -> dict[str, Any]:
    return {"size": len(config["text"])}


def test_nothing_is_left_in_the_temporary_directory(
    tmp_path: Path, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "trials").mkdir()
    with session(tmp_path / "trials", start_method) as opened:
        idle_worker(opened)
        assert [path.name for path in tmp_path.iterdir() if path.name != "trials"]
    assert [path.name for path in tmp_path.iterdir()] == ["trials"]


def test_the_error_of_a_killed_trial_says_how_it_died(tmp_path: Path, start_method: str) -> None:
    grid = tune.Tuner(
        kills_itself,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    assert isinstance(grid.errors[0], WorkerDiedError)
    assert grid.errors[0].exit_code == -signal.SIGKILL


def kills_itself(config: dict[str, Any]) -> None:
    subprocess.run(["kill", "-9", str(os.getpid())], check=True)
    time.sleep(60)


def test_sigterm_from_outside_unwinds_user_code_and_is_named(
    tmp_path: Path, start_method: str
) -> None:
    with session(tmp_path, start_method, leaves_a_note) as opened:
        worker, pid = idle_worker(opened)
        expect(opened.ask(worker, messages.Train()), messages.Trained)
        os.kill(pid, signal.SIGTERM)
        assert opened.exit_of(worker).describe() == (
            "The worker process was killed by SIGTERM: told to end from outside"
        )
    assert (tmp_path / "trial_1" / "finally").read_text() == "TrialStopped"


def leaves_a_pool_open(config: dict[str, Any]) -> dict[str, Any]:
    from concurrent.futures import ProcessPoolExecutor

    # Kept by a module, as joblib keeps its own, and never shut down.
    tempfile.kept_pool = pool = ProcessPoolExecutor(1)  # type: ignore[attr-defined]
    return {"three": pool.submit(abs, -3).result()}


def test_a_worker_does_not_wait_for_a_pool_that_user_code_left_open(
    tmp_path: Path, start_method: str
) -> None:
    with session(tmp_path, start_method, leaves_a_pool_open) as opened:
        worker, _ = idle_worker(opened)
        assert expect(opened.ask(worker, messages.Train()), messages.Trained).result["three"] == 3
        # Ended by itself: neither SIGTERM nor SIGKILL had to help.
        assert opened.end(worker).exit_code == 0
