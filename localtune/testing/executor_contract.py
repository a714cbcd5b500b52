"""The rules of an executor, as a test suite.

Derive a test class from :class:`ExecutorContract`, say how to make the executor and what it can do,
and let pytest collect it::

    class TestMyExecutor(ExecutorContract):
        abilities = MyExecutor.abilities

        def make_executor(self) -> Executor:
            return MyExecutor(num_cpus=2)

A test that needs an ability which the executor does not declare is not part of its suite.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from localtune.error import WorkerStartError
from localtune.execution.executor import Abilities, Executor, Exited, Replied, WorkerExit
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.testing.chaos import EXIT_CODE, ChaosTrainable, chaos_function
from localtune.trainable.function_trainable import wrap_function
from localtune.trial.trial import Trial
from localtune.worker import messages
from localtune.worker.assignment import assignment_of
from localtune.worker.program import WorkerProgram

DEADLINE_S = 60.0
_PAUSE_S = 0.1
_ONE_CPU = PlacementGroupFactory([{"CPU": 1}])


class ExecutorSession:
    """An open executor, asked one question at a time.

    Args:
        executor: Opened here, closed at the end of the ``with`` block.
        trainable: Class that the workers run.
        directory: Where the trials' directories are made.
    """

    def __init__(self, executor: Executor, trainable: type, directory: Path) -> None:
        self.executor = executor
        self._trainable = trainable
        self._directory = directory
        self._replies: dict[int, list[messages.Reply]] = {}
        self._exits: dict[int, WorkerExit] = {}
        self._slots: dict[int, Slot] = {}
        self._next_id = 0

    def __enter__(self) -> ExecutorSession:
        self.executor.open(WorkerProgram(self._trainable))
        return self

    def __exit__(self, *_: object) -> None:
        self.executor.close()
        self._slots.clear()

    def assignment(
        self,
        number: int,
        config: dict[str, Any],
        *,
        environment: dict[str, str | None] | None = None,
        **options: Any,
    ) -> messages.Assignment:
        """Returns the assignment of a trial.

        Args:
            number: Number of the trial.
            config: Its config.
            environment: Environment variables to set in the worker.
            **options: Further arguments of :class:`~localtune.trial.trial.Trial`.
        """
        path = str(self._directory)
        trial = Trial(
            "trial", trial_id=f"id{number}", config=config, experiment_path=path, **options
        )
        trial.dirname = trial.custom_trial_name = f"trial_{number}"
        os.makedirs(trial.path, exist_ok=True)
        return assignment_of(trial, environment)

    def reserve(self) -> Slot:
        """Waits for a slot with one CPU; an executor may need time for it."""
        deadline = time.monotonic() + DEADLINE_S
        while (slot := self.executor.reserve(_ONE_CPU)) is None:
            assert time.monotonic() < deadline, "the executor has no CPU left"
            self._take_in(deadline, _PAUSE_S)
        return slot

    def start(self, config: dict[str, Any] | None = None, **options: Any) -> int:
        """Starts a worker for a new trial.

        Args:
            config: The trial's config; None is an empty one.
            **options: See :meth:`assignment`.

        Returns:
            The worker's id.
        """
        slot = self.reserve()
        self._next_id += 1
        command = messages.Construct(self.assignment(self._next_id, config or {}, **options))
        try:
            self.executor.start_worker(self._next_id, command, slot)
        except WorkerStartError:
            self.executor.release(slot)
            raise
        self._slots[self._next_id] = slot
        return self._next_id

    def ask(self, worker_id: int, command: messages.Command) -> messages.Reply | WorkerExit:
        """Sends a command and waits for its reply, or for the worker's end.

        Args:
            worker_id: A worker that has no command in flight.
            command: The command.
        """
        self.executor.send(worker_id, command)
        return self.answer(worker_id)

    def answer(self, worker_id: int) -> messages.Reply | WorkerExit:
        """Waits for the next reply of a worker, or for its end."""
        deadline = time.monotonic() + DEADLINE_S
        while not self._replies.get(worker_id) and worker_id not in self._exits:
            self._take_in(deadline)
        replies = self._replies.get(worker_id)
        return replies.pop(0) if replies else self._exits[worker_id]

    def end(self, worker_id: int, *, force: bool = False) -> WorkerExit:
        """Stops a worker and waits until it has ended.

        Args:
            worker_id: The worker.
            force: Whether to kill it.
        """
        self.executor.stop_worker(worker_id, "the test is over", force=force)
        return self.exit_of(worker_id)

    def process_id(self, worker_id: int) -> int:
        """Waits until a worker's process is known, which may be after its first reply."""
        deadline = time.monotonic() + DEADLINE_S
        while worker_id not in self.executor.process_ids():
            self._take_in(deadline)
        return self.executor.process_ids()[worker_id]

    def exit_of(self, worker_id: int) -> WorkerExit:
        """Waits until a worker has ended."""
        deadline = time.monotonic() + DEADLINE_S
        while worker_id not in self._exits:
            self._take_in(deadline)
        return self._exits[worker_id]

    def _take_in(self, deadline: float, timeout_s: float = 1.0) -> None:
        assert time.monotonic() < deadline, "the executor reports nothing"
        for event in self.executor.wait(timeout_s):
            if isinstance(event, Replied):
                assert event.worker_id not in self._exits, "a reply after the end"
                self._replies.setdefault(event.worker_id, []).append(event.reply)
            elif isinstance(event, Exited):
                assert event.worker_id not in self._exits, "two ends"
                self._exits[event.worker_id] = event.exit
                self.executor.release(self._slots.pop(event.worker_id))


def expect(reply: object, kind: type[Any]) -> Any:
    """Returns a reply whose type was checked.

    Args:
        reply: A reply, or the exit of a worker.
        kind: The type that the reply must have.
    """
    assert isinstance(reply, kind), f"expected {kind.__name__}, got {reply!r}"
    return reply


_Test = TypeVar("_Test", bound=Callable[..., None])


def needs(*abilities: str) -> Callable[[_Test], _Test]:
    """Leaves a test out of the suites of executors that lack an ability.

    Args:
        *abilities: Names of fields of :class:`~localtune.execution.executor.Abilities`, or
            ``"runs_user_code"``.
    """

    def mark(test: _Test) -> _Test:
        _NEEDS[test.__name__] = abilities
        return test

    return mark


_NEEDS: dict[str, tuple[str, ...]] = {}  # {name of a test: the abilities that it needs}


class ExecutorContract:
    """The suite. Each test gets pytest's ``tmp_path``.

    The tests start two workers at a time, with one CPU each.

    Attributes:
        abilities: What the class of the executor declares.
        runs_user_code: Whether workers run the trainable of the run. A simulation does not: its
            own trainable must count steps and fail as
            :class:`~localtune.testing.chaos.ChaosTrainable` does.
    """

    abilities: ClassVar[Abilities] = Abilities()
    runs_user_code: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, needed in _NEEDS.items():
            if not all(getattr(cls.abilities, each, cls.runs_user_code) for each in needed):
                setattr(cls, name, None)  # pytest collects only what can be called

    def make_executor(self) -> Executor:
        """The executor under test, with at least two CPUs; called once per test."""
        raise NotImplementedError

    def session(self, tmp_path: Path, trainable: type = ChaosTrainable) -> ExecutorSession:
        return ExecutorSession(self.make_executor(), trainable, tmp_path)

    def test_a_class_trainable_lives_its_whole_life(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            ready = expect(session.answer(worker), messages.Ready)
            assert ready.metrics["trial_id"] == "id1"
            trained = expect(session.ask(worker, messages.Train()), messages.Trained)
            assert trained.result["steps"] == 1
            assert trained.result["training_iteration"] == 1
            saved = expect(session.ask(worker, messages.Save()), messages.Saved)
            assert saved.path == str(tmp_path / "trial_1" / "checkpoint_000000")
            assert os.path.isdir(saved.path) == self.abilities.shares_storage
            assert saved.next_index == 1
            expect(session.ask(worker, messages.Train()), messages.Trained)
            expect(
                session.ask(worker, messages.Restore(saved.path, saved.metrics)), messages.Restored
            )
            trained = expect(session.ask(worker, messages.Train()), messages.Trained)
            assert trained.result["steps"] == 2
            assert trained.result["training_iteration"] == 2
            assert session.end(worker).exit_code == 0
            expect(session.answer(worker), messages.Stopped)

    def test_the_executor_declares_what_the_suite_asks_for(self) -> None:
        declared = self.make_executor().abilities
        assert declared == self.abilities, "set the suite's `abilities` to those of the executor"

    def test_a_slot_is_taken_until_it_is_released(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            executor = session.executor
            taken = [session.reserve() for _ in range(int(executor.resources()["CPU"]))]
            assert len(taken) >= 2
            assert executor.reserve(_ONE_CPU) is None, "more slots than CPUs"
            assert not executor.why_never(_ONE_CPU)
            executor.release(taken.pop())
            slot = session.reserve()
            assert slot.request == _ONE_CPU
            for each in [*taken, slot]:
                executor.release(each)

    def test_what_is_more_than_there_is_gets_no_slot(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            too_much = PlacementGroupFactory([{"CPU": session.executor.resources()["CPU"] + 1}])
            assert session.executor.reserve(too_much) is None

    def test_closing_takes_back_all_slots(self, tmp_path: Path) -> None:
        session = self.session(tmp_path)
        for _ in range(2):
            with session:
                for _ in range(int(session.executor.resources()["CPU"])):
                    session.reserve()
        with session:
            session.reserve()

    @needs("runs_user_code")
    def test_a_model_is_exported(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            exported = expect(session.ask(worker, messages.Export(["model"])), messages.Exported)
            assert set(exported.paths) == {"model"}

    @needs("runs_user_code")
    def test_a_function_trainable_answers_one_reply_per_command(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(chaos_function)) as session:
            worker = session.start({"stop_at": 2})
            expect(session.answer(worker), messages.Ready)
            for step in (1, 2):
                trained = expect(session.ask(worker, messages.Train()), messages.Trained)
                assert trained.result["steps"] == step
                assert expect(session.ask(worker, messages.Save()), messages.Saved).path is None
            last = expect(session.ask(worker, messages.Train()), messages.Trained)
            assert "__duplicate__" in last.result
            assert session.end(worker).exit_code == 0

    @needs("runs_user_code", "shares_storage")
    def test_a_function_that_waits_in_report_can_be_stopped(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(leaves_a_note)) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            assert session.end(worker).exit_code == 0
            assert (tmp_path / "trial_1" / "finally").read_text() == "TrialStopped"

    def test_a_reset_serves_another_trial_in_another_directory(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            done = expect(
                session.ask(worker, messages.Reset(session.assignment(9, {}))), messages.ResetDone
            )
            assert done.accepted
            trained = expect(session.ask(worker, messages.Train()), messages.Trained)
            assert trained.result["trial_id"] == "id9"
            assert trained.result["training_iteration"] == 1
            saved = expect(session.ask(worker, messages.Save()), messages.Saved)
            assert saved.path == str(tmp_path / "trial_9" / "checkpoint_000000")

    @needs("runs_user_code", "shares_storage")
    def test_a_function_is_unwound_by_a_reset(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(leaves_a_note)) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            done = expect(
                session.ask(worker, messages.Reset(session.assignment(2, {}))), messages.ResetDone
            )
            assert done.accepted
            assert (tmp_path / "trial_1" / "finally").exists()
            trained = expect(session.ask(worker, messages.Train()), messages.Trained)
            assert trained.result["trial_id"] == "id2"

    @needs("runs_user_code", "shares_storage")
    def test_each_trial_works_in_its_own_directory(self, tmp_path: Path) -> None:
        here = os.getcwd()
        with self.session(tmp_path, wrap_function(tells_where_it_is)) as session:
            workers = [session.start(), session.start()]
            for worker in workers:
                expect(session.answer(worker), messages.Ready)
            for worker in workers:
                result = expect(session.ask(worker, messages.Train()), messages.Trained).result
                assert result["cwd"] == str(tmp_path / f"trial_{worker}")
                assert result["original"] == here
                assert os.getcwd() == here

    @needs("runs_user_code")
    def test_environment_variables_are_set_for_the_trial_only(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(tells_where_it_is)) as session:
            worker = session.start(environment={"LOCALTUNE_TEST_VARIABLE": "set"})
            expect(session.answer(worker), messages.Ready)
            result = expect(session.ask(worker, messages.Train()), messages.Trained).result
            assert result["variable"] == "set"
            assert "LOCALTUNE_TEST_VARIABLE" not in os.environ

    @needs("runs_user_code", "shares_storage")
    def test_output_goes_to_the_trial_files_at_descriptor_level(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(prints_in_three_ways)) as session:
            worker = session.start(log_to_file=("stdout", "stderr"))
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            session.end(worker)
        lines = (tmp_path / "trial_1" / "stdout").read_text().split()
        assert sorted(lines) == ["from-descriptor", "from-print", "from-subprocess"]
        assert (tmp_path / "trial_1" / "stderr").read_text() == "to-stderr\n"

    def test_an_exception_travels_with_its_traceback(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start({"place": "step", "fault": "raise"})
            expect(session.answer(worker), messages.Ready)
            failed = expect(session.ask(worker, messages.Train()), messages.Failed)
            assert failed.type_name == "ChaosError"
            assert failed.message == "chaos"
            assert "in strike" in failed.traceback_text
            assert not failed.fatal
            session.end(worker)

    def test_sys_exit_is_told_and_ends_the_worker(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start({"place": "step", "fault": "sys.exit"})
            expect(session.answer(worker), messages.Ready)
            failed = expect(session.ask(worker, messages.Train()), messages.Failed)
            assert failed.fatal
            assert f"sys.exit({EXIT_CODE})" in failed.message
            session.exit_of(worker)

    @needs("runs_user_code")
    def test_a_result_names_the_machine_and_the_process_of_the_worker(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(tells_its_process)) as session:
            worker = session.start(environment={"LOCALTUNE_NODE_IP": "10.0.0.7"})
            expect(session.answer(worker), messages.Ready)
            result = expect(session.ask(worker, messages.Train()), messages.Trained).result
            assert (result["hostname"], result["pid"]) == (result["own_name"], result["own_pid"])
            assert result["node_ip"] == "10.0.0.7"

    @needs("runs_user_code")
    def test_a_result_that_cannot_be_pickled_is_a_failure(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(reports_a_generator)) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            failed = expect(session.ask(worker, messages.Train()), messages.Failed)
            assert "'unpicklable'" in failed.message

    @needs("own_processes")
    def test_a_worker_that_crashes_leaves_the_others_alone(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            other = session.start()
            worker = session.start({"place": "step", "fault": "os._exit"})
            expect(session.answer(other), messages.Ready)
            expect(session.answer(worker), messages.Ready)
            assert isinstance(session.ask(worker, messages.Train()), WorkerExit)
            expect(session.ask(other, messages.Train()), messages.Trained)

    @needs("own_processes", "runs_user_code")
    def test_each_worker_has_a_process_of_its_own(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            workers = [session.start(), session.start()]
            ready = [expect(session.answer(worker), messages.Ready) for worker in workers]
            assert len({os.getpid(), *(each.metrics["pid"] for each in ready)}) == 3

    @needs("runs_in_parallel", "runs_user_code", "shares_storage")
    def test_two_workers_compute_at_the_same_time(self, tmp_path: Path) -> None:
        meeting = str(tmp_path / "meeting")
        os.mkfifo(meeting)
        with self.session(tmp_path, wrap_function(meets_another)) as session:
            workers = [session.start({"path": meeting, "mode": mode}) for mode in "rw"]
            for worker in workers:
                expect(session.answer(worker), messages.Ready)
            for worker in workers:
                session.executor.send(worker, messages.Train())
            for worker in workers:
                expect(session.answer(worker), messages.Trained)

    @needs("real_time")
    def test_the_clock_moves_by_itself(self) -> None:
        clock = self.make_executor().clock
        start_s, deadline = clock.monotonic(), time.monotonic() + DEADLINE_S
        while clock.monotonic() == start_s:
            assert time.monotonic() < deadline, "the clock stands still"

    @needs("kills_workers", "runs_user_code")
    def test_a_worker_in_a_long_step_can_be_killed(self, tmp_path: Path) -> None:
        with self.session(tmp_path, wrap_function(waits_for_ever)) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            session.executor.send(worker, messages.Train())
            exit = session.end(worker, force=True)
            assert exit.exit_code != 0

    def test_a_save_in_flight_comes_in_before_a_worker_that_is_stopped_ends(
        self, tmp_path: Path
    ) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            session.executor.send(worker, messages.Save())
            session.executor.stop_worker(worker, "the test is over")
            saved = expect(session.answer(worker), messages.Saved)
            assert saved.path is not None
            session.exit_of(worker)
            assert not self.abilities.shares_storage or os.listdir(saved.path)

    def test_a_save_that_was_told_is_not_told_again_when_the_worker_is_stopped(
        self, tmp_path: Path
    ) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            expect(session.ask(worker, messages.Train()), messages.Trained)
            expect(session.ask(worker, messages.Save()), messages.Saved)
            session.executor.stop_worker(worker, "the test is over")
            replies = []
            while not isinstance(reply := session.answer(worker), WorkerExit):
                replies.append(reply)
            assert not any(isinstance(each, messages.Saved) for each in replies)

    def test_a_wake_ends_a_wait(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            session.executor.wake()
            assert session.executor.wait(DEADLINE_S) == []

    def test_commands_to_a_worker_that_has_ended_are_dropped(self, tmp_path: Path) -> None:
        with self.session(tmp_path) as session:
            worker = session.start()
            expect(session.answer(worker), messages.Ready)
            session.end(worker)
            session.executor.send(worker, messages.Train())
            session.executor.stop_worker(worker, "again")
            assert session.executor.wait(0.0) == []

    def test_closing_ends_what_still_runs_and_it_can_be_opened_again(self, tmp_path: Path) -> None:
        session = self.session(tmp_path)
        for _ in range(2):
            with session:
                worker = session.start()
                expect(session.answer(worker), messages.Ready)
            assert session.executor.process_ids() == {}


def leaves_a_note(config: dict[str, Any]) -> None:
    """Reports for ever; writes a file when it is unwound."""
    from localtune.error import TrialStopped
    from localtune.trainable.session import report

    stopped = ""
    try:
        while True:
            report({"steps": 1})
    except TrialStopped:
        stopped = "TrialStopped"
        raise
    finally:
        Path("finally").write_text(stopped)


def tells_where_it_is(config: dict[str, Any]) -> dict[str, Any]:
    """Returns its surroundings."""
    return {
        "cwd": os.getcwd(),
        "original": os.environ["TUNE_ORIG_WORKING_DIR"],
        "variable": os.environ.get("LOCALTUNE_TEST_VARIABLE"),
    }


def prints_in_three_ways(config: dict[str, Any]) -> dict[str, Any]:
    """Writes by Python, by descriptor, by a subprocess."""
    import subprocess
    import sys

    # The real stream: a test runner may have put another one into its place.
    print("from-print", file=sys.__stdout__, flush=True)
    os.write(1, b"from-descriptor\n")
    subprocess.run([sys.executable, "-c", "print('from-subprocess')"], check=True)
    os.write(2, b"to-stderr\n")
    return {"done": True}


def reports_a_generator(config: dict[str, Any]) -> None:
    """Reports what cannot be pickled."""
    from localtune.trainable.session import report

    report({"unpicklable": (number for number in range(3))})


def tells_its_process(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the name of the machine and the id of the process that run it."""
    import platform

    return {"own_name": platform.node(), "own_pid": os.getpid()}


def meets_another(config: dict[str, Any]) -> dict[str, Any]:
    """Opens one end of a named pipe, which waits until the other end is opened."""
    with open(config["path"], config["mode"]):
        return {"done": True}


def waits_for_ever(config: dict[str, Any]) -> None:
    """Never reports."""
    import threading

    threading.Event().wait()
