from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.clock import ManualClock
from localtune.error import LocaltuneInternalError
from localtune.execution.executor import Exited, Replied
from localtune.execution.simulated import SimulatedExecutor
from localtune.execution.simulated_host import SimulatedCrash
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.worker import messages
from tests.small_runs import Counting, PauseAlways, fit, statuses


class Count:
    """Counts its steps; ``at`` of them does ``fault``."""

    def __init__(self, config: dict[str, Any]) -> None:
        if config.get("refuse"):
            raise ValueError("refused")
        self.config = config
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        if self.steps == self.config.get("at"):
            self.config["fault"]()
        seconds = self.config.get("seconds")
        timing = {} if seconds is None else {"time_this_iter_s": seconds}
        return {"steps": self.steps, "timesteps_this_iter": 5, **timing}

    def get_state(self) -> dict[str, int]:
        return {"steps": self.steps}

    def set_state(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


def crash() -> None:
    raise SimulatedCrash(-11)


def fail() -> None:
    raise RuntimeError("no luck")


def leave() -> None:
    raise SystemExit(3)


def session_of(tmp_path: Path, **options: Any) -> ExecutorSession:
    return ExecutorSession(SimulatedExecutor(Count, **options), tune.Trainable, tmp_path)


def test_a_trial_lives_its_whole_life(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"seconds": 2.5})
        assert expect(session.answer(worker), messages.Ready).metrics["trial_id"] == "id1"
        result = expect(session.ask(worker, messages.Train()), messages.Trained).result
        assert result["steps"] == 1
        assert result["training_iteration"] == 1
        assert result["time_this_iter_s"] == result["time_total_s"] == 2.5
        assert result["done"] is False
        saved = expect(session.ask(worker, messages.Save()), messages.Saved)
        assert saved.path == str(tmp_path / "trial_1" / "checkpoint_000000")
        assert saved.next_index == 1
        assert saved.metrics["steps"] == 1
        expect(session.ask(worker, messages.Train()), messages.Trained)
        expect(session.ask(worker, messages.Restore(saved.path, saved.metrics)), messages.Restored)
        result = expect(session.ask(worker, messages.Train()), messages.Trained).result
        assert result["steps"] == result["training_iteration"] == 2
        assert result["time_total_s"] == 5.0
        assert result["time_since_restore"] == 2.5
        assert result["iterations_since_restore"] == 1
        assert result["timesteps_total"] == 10
        assert (
            expect(session.ask(worker, messages.Export(["model"])), messages.Exported).paths == {}
        )
        assert session.end(worker).exit_code == 0
        expect(session.answer(worker), messages.Stopped)


def test_a_result_has_the_metrics_of_a_real_one(tmp_path: Path) -> None:
    def results_of(executor: Any, trainable: Any) -> set[str]:
        run = tune.RunConfig(storage_path=tmp_path, stop={"training_iteration": 1}, verbose=0)
        results = tune.Tuner(trainable, run_config=run, executor=executor).fit()
        assert results[0].metrics is not None
        return set(results[0].metrics)

    class Real(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"steps": 1, "timesteps_this_iter": 5}

    real = results_of("inprocess", Real)
    simulated = results_of(SimulatedExecutor(Count), Real)
    assert real - simulated == {"timesteps_since_restore"}
    assert simulated <= real


def test_a_reset_serves_another_trial_from_its_beginning(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start()
        session.answer(worker)
        session.ask(worker, messages.Train())
        done = expect(
            session.ask(worker, messages.Reset(session.assignment(9, {}))), messages.ResetDone
        )
        assert done.accepted
        assert done.metrics["trial_id"] == "id9"
        result = expect(session.ask(worker, messages.Train()), messages.Trained).result
        assert (result["trial_id"], result["steps"]) == ("id9", 1)
        assert result["time_total_s"] == 1.0
        saved = expect(session.ask(worker, messages.Save()), messages.Saved)
        assert saved.path == str(tmp_path / "trial_9" / "checkpoint_000000")


def test_a_state_carries_over_to_another_worker(tmp_path: Path) -> None:
    with session_of(tmp_path, keep_in_memory=True) as session:
        donor, heir = session.start({}), session.start({})
        session.answer(donor), session.answer(heir)
        for _ in range(3):
            session.ask(donor, messages.Train())
        saved = expect(session.ask(donor, messages.Save()), messages.Saved)
        assert saved.path is not None
        assert not Path(saved.path).exists()
        session.ask(donor, messages.Train())
        expect(session.ask(heir, messages.Restore(saved.path, saved.metrics)), messages.Restored)
        result = expect(session.ask(heir, messages.Train()), messages.Trained).result
        assert (result["steps"], result["training_iteration"]) == (4, 4)
        assert result["trial_id"] == "id2"


def test_a_forgotten_checkpoint_cannot_be_restored(tmp_path: Path) -> None:
    executor = SimulatedExecutor(Count, keep_in_memory=True)
    with ExecutorSession(executor, tune.Trainable, tmp_path) as session:
        worker = session.start()
        session.answer(worker)
        saved = expect(session.ask(worker, messages.Save()), messages.Saved)
        assert saved.path is not None
        executor.forget_checkpoint(saved.path)
        failed = expect(session.ask(worker, messages.Restore(saved.path, {})), messages.Failed)
        assert failed.type_name == "KeyError"


def test_checkpoints_in_files_outlive_the_executor(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start()
        session.answer(worker)
        session.ask(worker, messages.Train())
        saved = expect(session.ask(worker, messages.Save()), messages.Saved)
    assert saved.path is not None
    with session_of(tmp_path) as session:
        worker = session.start()
        session.answer(worker)
        expect(session.ask(worker, messages.Restore(saved.path, saved.metrics)), messages.Restored)
        assert expect(session.ask(worker, messages.Train()), messages.Trained).result["steps"] == 2


# -- time ------------------------------------------------------------------------------------------


def test_events_come_by_virtual_time_and_ties_as_they_were_sent(tmp_path: Path) -> None:
    executor = SimulatedExecutor(Count)
    seen = []
    with ExecutorSession(executor, tune.Trainable, tmp_path) as session:
        workers = [session.start({"seconds": seconds}) for seconds in (3.0, 1.0, 2.0, 1.0)]
        for worker in workers:
            session.answer(worker)
            executor.send(worker, messages.Train())
        for _ in workers:
            (event,) = executor.wait(None)
            seen.append((executor.clock.monotonic(), event.worker_id))
    assert seen == [(1.0, 2), (1.0, 4), (2.0, 3), (3.0, 1)]


def test_a_wait_of_days_takes_no_time(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"seconds": 1e6})
        session.answer(worker)
        executor = session.executor
        started = time.monotonic()
        executor.send(worker, messages.Train())
        assert len(executor.wait(None)) == 1
        assert executor.clock.monotonic() == 1e6
        assert time.monotonic() - started < 1e5


def test_a_timeout_is_virtual_too(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"seconds": 10.0})
        session.answer(worker)
        executor = session.executor
        executor.send(worker, messages.Train())
        assert executor.wait(4.0) == []
        assert executor.clock.monotonic() == 4.0
        assert executor.wait(0.0) == []
        assert len(executor.wait(6.0)) == 1
        assert executor.wait(5.0) == []
        assert executor.clock.monotonic() == 15.0


def test_each_command_takes_its_seconds(tmp_path: Path) -> None:
    clock = ManualClock()
    options = {"start_s": 1.0, "step_s": 10.0, "save_s": 100.0, "restore_s": 1000.0}
    with session_of(tmp_path, clock=clock, **options) as session:
        worker = session.start()
        session.answer(worker)
        assert clock.monotonic() == 1.0
        session.ask(worker, messages.Train())
        assert clock.monotonic() == 11.0
        saved = expect(session.ask(worker, messages.Save()), messages.Saved)
        assert clock.monotonic() == 111.0
        assert saved.path is not None
        session.ask(worker, messages.Restore(saved.path, {}))
        assert clock.monotonic() == 1111.0


def test_a_wait_for_an_event_that_cannot_come_is_an_error(tmp_path: Path) -> None:
    text = "nothing that could happen"
    with session_of(tmp_path) as session, pytest.raises(LocaltuneInternalError, match=text):
        session.executor.wait(None)


def test_a_wake_ends_a_wait(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        session.executor.wake()
        assert session.executor.wait(None) == []
        assert session.executor.clock.monotonic() == 0.0


# -- ends ------------------------------------------------------------------------------------------


def test_a_stop_cancels_the_command_in_flight(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"seconds": 100.0})
        session.answer(worker)
        executor = session.executor
        executor.send(worker, messages.Train())
        executor.stop_worker(worker, "no need for it")
        events = executor.wait(None)
        assert [type(event) for event in events] == [Replied, Exited]
        assert isinstance(events[0], Replied) and isinstance(events[0].reply, messages.Stopped)
        assert executor.clock.monotonic() == 0.0
        executor.send(worker, messages.Train())
        executor.stop_worker(worker, "again")
        assert executor.wait(1000.0) == []


def test_a_forced_stop_is_a_kill(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start()
        session.answer(worker)
        assert session.end(worker, force=True).exit_code == -9


@pytest.mark.parametrize("fault", [crash, fail, leave])
def test_faults_of_a_step(tmp_path: Path, fault: Callable[[], None]) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"at": 2, "fault": fault, "seconds": 7.0})
        session.answer(worker)
        session.ask(worker, messages.Train())
        answer = session.ask(worker, messages.Train())
        if fault is crash:
            assert session.exit_of(worker).exit_code == -11
        else:
            failed = expect(answer, messages.Failed)
            assert failed.fatal == (fault is leave)
        if fault is fail:
            assert expect(answer, messages.Failed).message == "no luck"
            assert "in fail" in expect(answer, messages.Failed).traceback_text
            session.end(worker)
        elif fault is leave:
            assert session.exit_of(worker).exit_code == 1
        assert session.executor.clock.monotonic() == 8.0  # a step that fails takes step_s


def test_a_trainable_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"refuse": True})
        failed = expect(session.answer(worker), messages.Failed)
        assert (failed.command, failed.message) == ("Construct", "refused")


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), "long"])
def test_a_step_takes_a_finite_number_of_seconds(tmp_path: Path, seconds: Any) -> None:
    with session_of(tmp_path) as session:
        worker = session.start({"seconds": seconds})
        session.answer(worker)
        failed = expect(session.ask(worker, messages.Train()), messages.Failed)
        assert "must be a finite number of seconds" in failed.message


def test_closing_gives_everything_up_and_it_can_be_opened_again(tmp_path: Path) -> None:
    session = session_of(tmp_path)
    for _ in range(2):
        with session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            session.executor.send(worker, messages.Train())
    assert session.executor.wait(5.0) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"step_s": -1.0}, "seconds that Train takes must be a finite number"),
        ({"save_s": float("nan")}, "seconds that Save takes must be a finite number"),
        ({"num_cpus": -1}, "num_cpus must be at least 0"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SimulatedExecutor(Count, **options)


def test_what_makes_no_trainable_is_refused() -> None:
    with pytest.raises(ValueError, match="make must be a class or a function"):
        SimulatedExecutor({"x": 1})  # type: ignore[arg-type]


# -- below a Tuner ---------------------------------------------------------------------------------


def never_called(config: dict[str, Any]) -> None:
    raise AssertionError("the real trainable ran")


def run(
    tmp_path: Path,
    executor: SimulatedExecutor,
    iteration_timeout_s: float | None = None,
    **tune_options: Any,
) -> tune.ResultGrid:
    return tune.Tuner(
        never_called,
        param_space={"seconds": tune.grid_search([3600.0, 1800.0])},
        tune_config=tune.TuneConfig(metric="steps", mode="max", **tune_options),
        run_config=tune.RunConfig(
            name="run",
            storage_path=tmp_path,
            stop={"training_iteration": 4},
            failure_config=tune.FailureConfig(iteration_timeout_s=iteration_timeout_s),
            verbose=0,
        ),
        executor=executor,
    ).fit()


def test_a_tuner_runs_on_virtual_time(tmp_path: Path) -> None:
    executor = SimulatedExecutor(Count, num_cpus=1)
    results = run(tmp_path, executor)
    assert [result.metrics["steps"] for result in results if result.metrics] == [4, 4]
    assert executor.clock.monotonic() == 4 * 3600.0 + 4 * 1800.0
    assert len(results[0].metrics_dataframe) == 4  # type: ignore[arg-type]


def test_the_time_budget_of_a_tuner_is_virtual(tmp_path: Path) -> None:
    executor = SimulatedExecutor(Count, num_cpus=2)
    results = run(tmp_path, executor, time_budget_s=6000.0)
    assert executor.clock.monotonic() == 6000.0
    assert [result.metrics["steps"] for result in results if result.metrics] == [1, 3]


def test_the_time_limit_of_a_step_is_virtual(tmp_path: Path) -> None:
    executor = SimulatedExecutor(Count, num_cpus=2)
    results = run(tmp_path, executor, iteration_timeout_s=1800.0)
    assert "iteration_timeout_s" in str(results[0].error) and results[1].error is None
    # The step of the first trial was ended at its limit, and not when it was done.
    assert executor.clock.monotonic() == 4 * 1800.0


def test_a_trial_that_cannot_be_prepared_is_tried_again_although_nothing_else_happens(
    tmp_path: Path,
) -> None:
    class Replaces(tune.Callback):
        """Puts a file in the place of a directory once, until the trial has failed."""

        retries = 0

        def on_trial_save(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            if not self.retries:
                shutil.rmtree(trial.path)
                Path(trial.path).write_text("no directory")

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            os.unlink(trial.path)
            self.retries += 1

    grid = fit(
        Counting,
        tmp_path,
        scheduler=PauseAlways(),
        max_failures=1,
        callbacks=[Replaces()],
        executor=SimulatedExecutor(Count, num_cpus=1),
        stop={"training_iteration": 2},
    )
    assert statuses(grid) == ["TERMINATED"] and grid[0].metrics["steps"] == 2


@pytest.mark.parametrize("force", [False, True])
def test_a_save_in_flight_comes_in_unless_its_worker_is_killed(tmp_path: Path, force: bool) -> None:
    with session_of(tmp_path, save_s=100.0) as session:
        worker = session.start()
        expect(session.answer(worker), messages.Ready)
        expect(session.ask(worker, messages.Train()), messages.Trained)
        session.executor.send(worker, messages.Save())
        session.executor.stop_worker(worker, "the test is over", force=force)
        replies = [] if force else [messages.Saved, messages.Stopped]
        events = session.executor.wait(None)
        assert [type(each.reply) for each in events if isinstance(each, Replied)] == replies
        assert isinstance(events[-1], Exited)
