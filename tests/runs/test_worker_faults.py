"""Faults of workers: the trial fails with the reason, and the run goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.error import TrialTaskError, TrialTimeoutError, WorkerDiedError
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.trainable.function_trainable import wrap_function
from localtune.worker import messages
from localtune.worker.program import WorkerProgram
from tests.runs.lifecycle.programs import START_METHODS, wait_until
from tests.small_runs import Program, first_time, fit, processes, rows, statuses


def fit_beside_a_good_one(fault: Any, tmp_path: Path, **options: Any) -> Any:
    """Runs a function that has a fault, and beside it one trial that has none.

    Returns:
        The result of the first.
    """

    def train(config: dict[str, Any]) -> None:
        if config["is_good"]:
            for number in range(3):
                tune.report({"number": number})
        else:
            fault(config)

    options.setdefault("executor", processes(2))
    grid = fit(train, tmp_path, {"is_good": tune.grid_search([False, True])}, **options)
    assert statuses(grid)[1] == "TERMINATED"
    assert [row["number"] for row in rows(grid[1])] == [0, 1, 2]
    return grid[0]


# -- exceptions that are hard to tell --------------------------------------------------------------


class HoldsALock(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class HasNoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class HasABadText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class HasNoRepr(Exception):
    def __repr__(self) -> str:
        raise ValueError("no repr")


class NeedsArguments(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")


class EndsWhenPickled(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit("while it is pickled")


class IsNoException(BaseException):
    pass


class ClaimsToBeMade(Exception):
    """Comes back as something else."""

    def __reduce__(self) -> Any:
        return (str, ("no exception",))


def raises_long(config: dict[str, Any]) -> None:
    raise ValueError("start" + "x" * 100_000_000 + "end")


def recurses(config: dict[str, Any]) -> None:
    recurses(config)


def takes_too_much(config: dict[str, Any]) -> None:
    bytearray(1 << 60)


def raiser(error: BaseException) -> Any:
    def train(config: dict[str, Any]) -> None:
        raise error

    return train


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda config: raiser(HoldsALock("held"))(config), "HoldsALock: held"),
        (raiser(HasNoText()), "HasNoText: <HasNoText: its text cannot be made>"),
        (raiser(HasABadText()), "HasABadText: <HasABadText: its text cannot be made>"),
        (raiser(HasNoRepr("but a text")), "HasNoRepr: but a text"),
        (lambda config: raiser(NeedsArguments(3, "no luck"))(config), "no luck (3)"),
        (lambda config: raiser(EndsWhenPickled("told"))(config), "EndsWhenPickled: told"),
        (raiser(IsNoException("of Exception")), "IsNoException: of Exception"),
        (lambda config: raiser(ClaimsToBeMade("itself"))(config), "ClaimsToBeMade: itself"),
        (raises_long, "ValueError: startxxx"),
        (recurses, "RecursionError"),
        (takes_too_much, "MemoryError"),
    ],
)
def test_an_exception_that_is_hard_to_tell_is_told(
    tmp_path: Path, function: Any, text: str
) -> None:
    result = fit_beside_a_good_one(function, tmp_path)
    assert isinstance(result.error, TrialTaskError)
    assert text in str(result.error)
    written = Path(result.path, "error.txt")
    assert text in written.read_text()
    assert written.stat().st_size < 2_000_000


# -- what cannot travel ----------------------------------------------------------------------------


class SavesALock(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"number": 1}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"lock": threading.Lock()}


def reports_a_lock(config: dict[str, Any]) -> None:
    tune.report({"lock": threading.Lock()})


def test_a_result_that_cannot_be_pickled_names_its_metric(tmp_path: Path) -> None:
    result = fit_beside_a_good_one(reports_a_lock, tmp_path)
    assert "The metric 'lock' of type lock cannot be pickled" in str(result.error)


def test_a_checkpoint_that_cannot_be_pickled_fails_its_trial(tmp_path: Path) -> None:
    grid = fit(SavesALock, tmp_path, checkpoint_frequency=1, executor=processes(1))
    assert isinstance(grid[0].error, TypeError)
    assert "lock" in str(grid[0].error)
    assert not list(Path(grid[0].path).glob("checkpoint_*"))


class HidesItsSize:
    def __init__(self, data: bytes) -> None:
        self.data = data


def reports_a_gigabyte(config: dict[str, Any]) -> None:
    refusals = []
    for value in (bytes(2**30), {"nested": [bytes(2**30)]}):
        try:
            tune.report({"data": value})
        except ValueError as error:
            refusals.append(str(error))
    # A page without a write takes no memory: any copy would show here.
    peak_kb = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    tune.report({"refusals": refusals, "peak_bytes": 1024 * peak_kb})


def test_a_result_of_a_gigabyte_is_refused_without_being_copied(tmp_path: Path) -> None:
    grid = fit(reports_a_gigabyte, tmp_path, executor=processes(1))
    (row,) = rows(grid[0])
    assert len(row["refusals"]) == 2
    assert all("16,777,216 bytes" in each and "'data'" in each for each in row["refusals"])
    assert row["peak_bytes"] < 500_000_000


def reports_what_hides_its_size(config: dict[str, Any]) -> None:
    tune.report({"data": HidesItsSize(bytes(100 * 2**20))})


def test_a_reply_that_is_too_large_does_not_reach_the_parent(tmp_path: Path) -> None:
    result = fit_beside_a_good_one(reports_what_hides_its_size, tmp_path)
    assert isinstance(result.error, ValueError)
    assert "at most 16,777,216 bytes" in str(result.error)


# -- steps and trials without end ------------------------------------------------------------------


def hangs_once(config: dict[str, Any]) -> None:
    tune.report({"number": 0})
    if first_time(config["once"]):
        if config["how"] == "ignores SIGTERM":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if config["how"] == "is stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        if config["how"] == "computes":
            sum(range(10**15))  # native code that does not let go
        threading.Event().wait()
    tune.report({"number": 1})


def test_a_step_that_never_comes_back_is_killed_and_tried_again(tmp_path: Path) -> None:
    hows = ["waits", "ignores SIGTERM", "is stopped", "computes"]
    space = {
        "how": tune.grid_search(hows),
        "once": tune.sample_from(lambda config: str(tmp_path / config["how"])),
    }
    grid = fit(
        hangs_once,
        tmp_path,
        space,
        iteration_timeout_s=3.0,
        max_failures=-1,
        executor=processes(4),
    )
    assert statuses(grid) == ["TERMINATED"] * 4
    for result in grid:
        assert [row["number"] for row in rows(result)] == [0, 1]
        text = Path(result.path, "error.txt").read_text()
        assert "Failure # 1" in text
        assert "Its train has not come back for 3." in text
        assert "iteration_timeout_s=3 is set" in text


def reports_for_ever(config: dict[str, Any]) -> None:
    while True:
        tune.report({"number": 1})
        time.sleep(0.01)


def test_a_trial_that_takes_too_long_is_ended_for_good(tmp_path: Path) -> None:
    result = fit_beside_a_good_one(reports_for_ever, tmp_path, trial_timeout_s=2.0, max_failures=3)
    assert isinstance(result.error, TrialTimeoutError)
    assert "trial_timeout_s=2 is set" in str(result.error)
    assert Path(result.path, "error.txt").read_text().count("Failure #") == 1
    assert rows(result)


STOPPED = """
class Say(tune.Callback):
    def on_trial_result(self, iteration, trials, trial, result, **info):
        print("worker", result["pid"], flush=True)

def train(config):
    tune.report({"number": 1})
    os.kill(os.getpid(), signal.SIGSTOP)

executor = tune.ProcessExecutor(num_cpus=1, stop_timeout_s=0.1, kill_timeout_s=0.1)
grid = fit(train, Path(STORAGE), callbacks=[Say()], executor=executor)
print("ended", grid.num_errors)
"""


def test_ctrl_c_ends_a_run_whose_worker_was_stopped_by_a_signal(tmp_path: Path) -> None:
    program = Program(STOPPED.replace("STORAGE", repr(str(tmp_path))))
    assert program.process.stdout is not None
    line = ""
    while not line.startswith("worker"):
        line = program.process.stdout.readline()
        assert line, "the program has ended"
    worker = psutil.Process(int(line.split()[1]))
    wait_until(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker is stopped")
    assert "ended 0" in program.end(signal.SIGINT)
    assert program.process.returncode == 0
    wait_until(lambda: not worker.is_running(), "the worker is gone")


# -- descriptors -----------------------------------------------------------------------------------


def closes_standard_streams(config: dict[str, Any]) -> None:
    for number in range(3):
        os.close(number)
    for number in range(3):
        tune.report({"number": number})


def closes_all_and_reports(config: dict[str, Any]) -> None:
    tune.report({"number": 0})
    os.closerange(0, 4096)
    tune.report({"number": 1})


def closes_all_and_returns(config: dict[str, Any]) -> None:
    os.closerange(0, 4096)


def closes_all_and_waits(config: dict[str, Any]) -> None:
    os.closerange(3, 4096)
    threading.Event().wait()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_trial_without_standard_streams_goes_on(tmp_path: Path, start_method: str) -> None:
    executor = tune.ProcessExecutor(num_cpus=1, start_method=start_method)
    grid = fit(closes_standard_streams, tmp_path, executor=executor, log_to_file=True)
    assert statuses(grid) == ["TERMINATED"], grid.errors
    assert [row["number"] for row in rows(grid[0])] == [0, 1, 2]


@pytest.mark.parametrize(
    "function", [closes_all_and_reports, closes_all_and_returns, closes_all_and_waits]
)
def test_a_trial_that_closes_the_pipe_to_the_run_is_told_so(tmp_path: Path, function: Any) -> None:
    result = fit_beside_a_good_one(function, tmp_path)
    assert isinstance(result.error, WorkerDiedError)
    assert "closed its pipe" in str(result.error)


# -- processes and threads -------------------------------------------------------------------------


def forks_and_both_report(config: dict[str, Any]) -> None:
    tune.report({"number": 0, "pid_of_worker": os.getpid()})
    os.fork()
    tune.report({"number": 1, "pid_of_worker": os.getpid()})


def forks_and_both_return(config: dict[str, Any]) -> dict[str, Any]:
    before = os.getpid()
    os.fork()
    return {"number": 0, "is_parent": os.getpid() == before}


class ForksInAStep(tune.Trainable):
    def step(self) -> dict[str, Any]:
        before = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return {"is_parent": os.getpid() == before, "done": self.iteration == 2}


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("trainable", [forks_and_both_report, forks_and_both_return, ForksInAStep])
def test_a_forked_copy_of_a_worker_ends_where_it_would_speak_for_it(
    tmp_path: Path, start_method: str, trainable: Any
) -> None:
    executor = tune.ProcessExecutor(num_cpus=1, start_method=start_method)
    grid = fit(trainable, tmp_path, executor=executor, log_to_file=True)
    assert statuses(grid) == ["TERMINATED"], grid.errors
    found = rows(grid[0])
    assert [row["training_iteration"] for row in found] == list(range(1, len(found) + 1))
    assert all(row.get("is_parent", True) for row in found)
    assert len({row["pid_of_worker"] for row in found if "pid_of_worker" in row}) <= 1


def test_a_forked_copy_says_why_it_ends(tmp_path: Path) -> None:
    grid = fit(ForksInAStep, tmp_path, executor=processes(1), log_to_file=True)
    text = Path(grid[0].path, "stderr").read_text()
    assert text.count("forked by the trial in process") == len(rows(grid[0]))
    assert "End a forked process with os._exit()." in text


def leaves_a_thread(config: dict[str, Any]) -> dict[str, Any]:
    threading.Thread(target=threading.Event().wait, daemon=False).start()
    return {"number": 1}


def test_a_thread_that_never_ends_does_not_keep_the_worker(tmp_path: Path) -> None:
    result = fit(leaves_a_thread, tmp_path, executor=processes(1))[0]
    assert result.error is None
    assert rows(result)[0]["number"] == 1


# -- output ----------------------------------------------------------------------------------------

PRINTED_BYTES = 200_000_000


def prints_much(config: dict[str, Any]) -> dict[str, Any]:
    piece = b"x" * 999_999 + config["end"].encode()
    for _ in range(PRINTED_BYTES // len(piece)):
        left = memoryview(piece)
        while left:
            left = left[os.write(1, left) :]
    return {"number": 1}


@pytest.mark.parametrize("end", ["\n", "x"])
def test_what_a_worker_prints_does_not_pile_up_in_the_parent(tmp_path: Path, end: str) -> None:
    sizes: list[int] = []
    executor = tune.ProcessExecutor(num_cpus=2)
    session = ExecutorSession(executor, wrap_function(prints_much), tmp_path)
    program = WorkerProgram(wrap_function(prints_much))
    executor.open(program, lambda text, _: sizes.append(len(text)))
    try:
        worker = session.start({"end": end})
        expect(session.answer(worker), messages.Ready)
        expect(session.ask(worker, messages.Train()), messages.Trained)
        session.end(worker)
    finally:
        executor.close()
    assert PRINTED_BYTES <= sum(sizes) <= 1.01 * PRINTED_BYTES
    assert max(sizes) < 1_000_000


# -- the pipe --------------------------------------------------------------------------------------


def is_stopped_in_the_middle_of_a_result(config: dict[str, Any]) -> None:
    tune.report({"number": 0})
    for number in range(3, 64):
        # Begins a message in the pipe, whose rest is never sent.
        try:
            if os.fstat(number).st_mode & 0o170000 == 0o140000:
                os.write(number, b"\x00\x10\x00\x00begun")
                Path("begun").touch()
        except OSError:
            continue
    threading.Event().wait()


def test_half_a_message_does_not_hold_up_the_parent(tmp_path: Path) -> None:
    executor = tune.ProcessExecutor(num_cpus=2)
    function = wrap_function(is_stopped_in_the_middle_of_a_result)
    with ExecutorSession(executor, function, tmp_path) as session:
        first, second = session.start(), session.start()
        for worker in (first, second):
            expect(session.answer(worker), messages.Ready)
        expect(session.ask(first, messages.Train()), messages.Trained)
        session.executor.send(first, messages.Train())
        wait_until((tmp_path / "trial_1" / "begun").exists, "a message has begun")
        # Only a parent that waits for the rest of what the first has begun fails from here on.
        expect(session.ask(second, messages.Train()), messages.Trained)
        assert session.end(first, force=True).exit_code == -signal.SIGKILL
