"""A system that refuses to start a worker fails one trial and leaks nothing."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

import localtune as tune
from localtune.error import WorkerStartError
from localtune.execution.executor import WorkerExit
from localtune.testing.chaos import ChaosTrainable
from localtune.testing.executor_contract import ExecutorSession, expect
from localtune.utils import open_files
from localtune.worker import messages
from tests.leaks import end_what_is_kept
from tests.runs.lifecycle.programs import START_METHODS


@contextlib.contextmanager
def room_for_files(number: int) -> Iterator[None]:
    """Lets this process open only so many files more, as if its hard limit were that low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest free numbers are given out first; the listing itself takes one of them.
    used = {int(name) for name in os.listdir("/proc/self/fd")}
    limit = [fd for fd in range(max(used) + number + 2) if fd not in used][number]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        with pytest.MonkeyPatch.context() as patch:
            # A process that has lowered a hard limit cannot raise it again.
            patch.setattr(open_files, "set_soft_limit", lambda count: False)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(autouse=True)
def _nothing_is_kept_by_the_test_before() -> None:
    # The processes that localtune keeps after a run have their descriptors already.
    end_what_is_kept()


def end_a_run(path: Path) -> None:
    """Leaves what localtune keeps for the next run."""
    with ExecutorSession(tune.ProcessExecutor(num_cpus=4), ChaosTrainable, path) as session:
        expect(session.answer(session.start()), messages.Ready)


@pytest.mark.parametrize("is_second_run", [False, True])
@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("room", range(6))
def test_too_many_open_files_are_an_error_of_the_start(
    tmp_path: Path, start_method: str, room: int, is_second_run: bool
) -> None:
    if is_second_run:
        end_a_run(tmp_path)
    executor = tune.ProcessExecutor(num_cpus=4, start_method=start_method)
    with ExecutorSession(executor, ChaosTrainable, tmp_path) as session:
        with room_for_files(room), contextlib.suppress(WorkerStartError):
            # Depending on the room it may work; it must not fail in another way.
            answer = session.answer(session.start())
            if isinstance(answer, WorkerExit):
                assert answer.no_room and "Too many open files" in answer.note
            else:
                expect(answer, messages.Ready)
        expect(session.answer(session.start()), messages.Ready)


@pytest.mark.parametrize("start_method", START_METHODS)
def test_without_any_room_the_error_says_why(tmp_path: Path, start_method: str) -> None:
    executor = tune.ProcessExecutor(num_cpus=4, start_method=start_method)
    with (
        ExecutorSession(executor, ChaosTrainable, tmp_path) as session,
        room_for_files(0),
        pytest.raises(WorkerStartError, match="Too many open files"),
    ):
        session.start()
