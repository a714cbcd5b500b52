"""Results are written in time, and in few transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.callback import CallbackList
from localtune.clock import Clock, SystemClock
from localtune.controller.kept_state import KeptState
from localtune.controller.recorder import INTERVAL_S, SYNC_INTERVAL_S, Recorder
from localtune.error import StorageError
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.search.coerce import as_search_algorithm
from localtune.stopper import NoopStopper
from localtune.storage.experiment_db import ExperimentDB
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.records import add_checkpoint, make_trial


class SetClock(SystemClock):
    """A clock of real time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def db(tmp_path: Path) -> Iterator[ExperimentDB]:
    with contextlib.closing(ExperimentDB(str(tmp_path))) as db:
        yield db


@pytest.fixture
def trial(db: ExperimentDB, tmp_path: Path) -> Trial:
    trial = make_trial(tmp_path)
    db.save([trial])
    return trial


@pytest.fixture
def commits(db: ExperimentDB, trial: Trial) -> list[str]:
    """The transactions since the trial was written."""
    found: list[str] = []

    def note(statement: str) -> None:
        if statement == "COMMIT":
            found.append(statement)

    db._connection.set_trace_callback(note)
    return found


@pytest.fixture
def syncs(db: ExperimentDB) -> list[bool]:
    """Whether the transactions waited for the disk, one after the other."""
    found: list[bool] = []
    write = db._write

    def note(statements: Any, *, sync: bool) -> None:
        write(statements, sync=sync)
        found.append(sync)

    db._write = note  # type: ignore[method-assign]
    return found


def end_of(subject: Recorder, path: Path, number: int) -> None:
    """Writes that another trial has ended."""
    trial = make_trial(path, number)
    trial.status = Status.TERMINATED
    subject.persist(trial)
    subject.write()


def recorder(db: ExperimentDB, clock: Clock, **options: Any) -> Recorder:
    searcher = as_search_algorithm(BasicVariantGenerator(), None)
    kept = KeptState(searcher, FIFOScheduler(), NoopStopper(), CallbackList([]))
    return Recorder(db, kept, clock, **options)


def count(db: ExperimentDB, trial: Trial) -> int:
    return len(list(db.results(trial.trial_id)))


def test_a_result_waits_until_half_a_second_after_the_transaction_before(
    db: ExperimentDB, trial: Trial
) -> None:
    clock = SetClock()
    subject = recorder(db, clock)
    assert subject.seconds_left() is None

    subject.add_result(trial, 1, {"loss": 1})
    subject.write()
    assert count(db, trial) == 1
    subject.add_result(trial, 2, {"loss": 2})
    clock.now_s += 0.1
    subject.write()
    assert count(db, trial) == 1
    assert subject.seconds_left() == pytest.approx(INTERVAL_S - 0.1)
    clock.now_s += INTERVAL_S
    subject.write()

    assert count(db, trial) == 2
    assert subject.seconds_left() is None
    assert INTERVAL_S < 1


def test_many_results_in_a_short_time_are_few_transactions(
    db: ExperimentDB, trial: Trial, commits: list[str]
) -> None:
    clock = SetClock()
    subject = recorder(db, clock)
    for number in range(1, 201):
        subject.add_result(trial, number, {"loss": number})
        subject.write()
        clock.now_s += 0.01

    assert len(commits) == 2 / INTERVAL_S
    assert count(db, trial) > 140


def test_what_is_written_for_another_reason_takes_the_results_along(
    db: ExperimentDB, trial: Trial, commits: list[str]
) -> None:
    subject = recorder(db, SetClock())
    subject.add_result(trial, 1, {"loss": 1})
    subject.persist(trial)
    subject.write()
    subject.write()

    assert (count(db, trial), len(commits)) == (1, 1)


def test_results_do_not_wait_where_the_run_cannot_come_back_in_time(
    db: ExperimentDB, trial: Trial
) -> None:
    subject = recorder(db, SetClock(), results_may_wait=False)
    for number in (1, 2, 3):
        subject.add_result(trial, number, {"loss": number})
        subject.write()
        assert count(db, trial) == number


def test_virtual_time_sets_no_limit(db: ExperimentDB, trial: Trial, commits: list[str]) -> None:
    clock = ManualClock()
    subject = recorder(db, clock, real_time=False)
    for number in range(1, 101):
        subject.add_result(trial, number, {"loss": number})
        clock.advance(3600.0)
        assert subject.seconds_left() is None
        subject.write()

    assert commits == []
    subject.write_all()
    assert count(db, trial) == 100


def test_results_that_cannot_be_written_are_not_tried_again_at_each_turn(
    db: ExperimentDB, trial: Trial
) -> None:
    clock = SetClock()
    subject = recorder(db, clock)
    subject.add_result(trial, 1, {"loss": 1})
    db._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError):
        subject.write()
    subject.write()
    assert subject.seconds_left() == INTERVAL_S

    db._connection.execute("PRAGMA query_only = 0")
    subject.rescue_results()

    assert count(db, trial) == 1


def test_a_record_that_could_not_be_written_still_waits(db: ExperimentDB, trial: Trial) -> None:
    subject = recorder(db, SetClock())
    trial.dirname = "moved"
    subject.persist(trial)
    db._connection.execute("PRAGMA query_only = 1")
    for _ in range(2):
        with pytest.raises(StorageError):
            subject.write()

    db._connection.execute("PRAGMA query_only = 0")
    subject.write()

    assert db.load()[0].dirname == "moved"


def test_at_the_end_of_a_run_nothing_waits_any_more(db: ExperimentDB, trial: Trial) -> None:
    subject = recorder(db, SetClock())
    trial.dirname = "moved"
    subject.persist(trial)
    subject.write_all()
    assert db.load()[0].dirname == "moved"


def test_ends_of_trials_soon_after_each_other_wait_for_the_disk_once(
    db: ExperimentDB, syncs: list[bool], tmp_path: Path
) -> None:
    clock = SetClock()
    subject = recorder(db, clock)
    for number in range(3):
        end_of(subject, tmp_path, number)
    assert syncs == [True, False, False]
    assert subject.seconds_left() == pytest.approx(SYNC_INTERVAL_S)

    clock.now_s += SYNC_INTERVAL_S
    subject.write()

    assert syncs[3:] == [True]
    assert subject.seconds_left() is None
    subject.write()
    assert len(syncs) == 4


def test_a_checkpoint_takes_the_ends_before_it_to_the_disk(
    db: ExperimentDB, trial: Trial, syncs: list[bool], tmp_path: Path
) -> None:
    subject = recorder(db, SetClock())
    end_of(subject, tmp_path, 1)
    end_of(subject, tmp_path, 2)
    assert db.owes_sync
    add_checkpoint(trial)
    subject.persist(trial)
    subject.write()

    assert syncs == [True, False, True]
    assert not db.owes_sync


@pytest.mark.parametrize("asked", ["removal", "end of run", "break"])
def test_ends_are_on_the_disk_before_something_that_relies_on_them(
    db: ExperimentDB, syncs: list[bool], tmp_path: Path, asked: str
) -> None:
    subject = recorder(db, SetClock())
    end_of(subject, tmp_path, 1)
    end_of(subject, tmp_path, 2)
    assert db.owes_sync
    if asked == "removal":
        subject.write(sync=True)
    elif asked == "end of run":
        subject.write_all()
    else:
        subject.rescue_results()

    assert syncs == [True, False, True]
    assert not db.owes_sync


@pytest.mark.parametrize("option", ["results_may_wait", "real_time"])
def test_ends_do_not_wait_where_the_run_cannot_come_back_in_time(
    db: ExperimentDB, syncs: list[bool], tmp_path: Path, option: str
) -> None:
    subject = recorder(db, SetClock(), **{option: False})
    for number in range(3):
        end_of(subject, tmp_path, number)
    assert syncs == [True] * 3


def test_where_a_wait_for_the_disk_takes_long_the_next_one_is_later(
    db: ExperimentDB, syncs: list[bool], tmp_path: Path
) -> None:
    clock = SetClock()
    subject = recorder(db, clock)
    write = db._write

    def slowly(statements: Any, *, sync: bool) -> None:
        write(statements, sync=sync)
        clock.now_s += 2.0 if sync else 0.0

    db._write = slowly  # type: ignore[method-assign]
    for number in range(3):
        end_of(subject, tmp_path, number)

    assert syncs == [True, False, False]
    assert subject.seconds_left() == pytest.approx(1.0)
