"""The spare: when a template keeps one, and what its death means."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import localtune as tune
from localtune.execution.process import spare
from localtune.testing.chaos import ChaosTrainable
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.worker import messages
from tests.runs.lifecycle.programs import is_gone, wait_until


class Opened:
    """A session whose template has started some short trials, and one that stays."""

    def __init__(self, session: ExecutorSession) -> None:
        self.session = session
        self.stays = self.start()
        self.template = psutil.Process(session.process_id(self.stays)).ppid()
        for _ in range(spare._FIRST):
            session.end(self.start())

    def start(self) -> int:
        worker = self.session.start()
        expect(self.session.answer(worker), messages.Ready)
        return worker

    def spare(self) -> int:
        """Waits for the spare; returns its process id."""
        wait_until(lambda: len(self.children()) == 2, "there is a spare")
        (pid,) = self.children() - set(self.session.executor.process_ids().values())
        return pid

    def children(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.template).children()}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    executor = tune.ProcessExecutor(num_cpus=1000, start_method="template")
    with ExecutorSession(executor, ChaosTrainable, tmp_path) as session:
        yield Opened(session)


def test_the_next_worker_of_a_short_trial_was_forked_ahead(opened: Opened) -> None:
    pid = opened.spare()
    worker = opened.start()
    assert opened.session.process_id(worker) == pid
    assert psutil.Process(pid).ppid() == opened.template


def test_another_worker_takes_the_place_of_a_spare_that_was_killed(opened: Opened) -> None:
    pid = opened.spare()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), "the template has noticed it")
    worker = opened.start()
    assert opened.session.process_id(worker) != pid
    reply = expect(opened.session.ask(worker, messages.Train()), messages.Trained)
    assert reply.result["steps"] == 1


def test_a_spare_that_ends_when_it_is_asked_for_is_replaced(opened: Opened) -> None:
    pid = opened.spare()
    # The template learns of the end and of the request at the same time.
    os.kill(opened.template, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "it is dead")
    worker = opened.session.start()
    os.kill(opened.template, signal.SIGCONT)
    expect(opened.session.answer(worker), messages.Ready)


def test_a_spare_ends_with_its_template(opened: Opened) -> None:
    pid = opened.spare()
    os.kill(opened.template, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), "the spare ends")
    opened.session.exit_of(opened.stays)
    opened.start()  # By another template.


def test_a_worker_that_was_a_spare_is_killed_like_any_other(opened: Opened) -> None:
    pid = opened.spare()
    worker = opened.start()
    assert opened.session.end(worker, force=True).exit_code == -signal.SIGKILL
    assert is_gone(pid)


def test_without_room_for_a_spare_workers_start_as_before(opened: Opened) -> None:
    opened.spare()
    # The template has no descriptor left for the ends of a socket.
    count = len(os.listdir(f"/proc/{opened.template}/fd"))
    hard = resource.prlimit(opened.template, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(opened.template, resource.RLIMIT_NOFILE, (count, hard))
    first = opened.start()
    opened.session.end(first)
    resource.prlimit(opened.template, resource.RLIMIT_NOFILE, (hard, hard))
    opened.start()


def test_a_spare_is_of_use_after_some_short_trials_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    demand = spare.Demand()

    def run_one(duration_s: float) -> None:
        nonlocal now
        demand.note_start(1)
        now += duration_s
        demand.note_end(1)

    for _ in range(spare._FIRST - 1):
        run_one(0.01)
        assert demand.seconds_left() == 0.0
    run_one(spare._SHORT_S)
    assert demand.seconds_left() == 0.0  # This one was long.
    run_one(0.01)
    assert demand.seconds_left() == spare._KEPT_S
    now += spare._KEPT_S
    assert demand.seconds_left() == 0.0
