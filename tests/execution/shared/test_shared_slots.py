"""Slots of a shared machine: two sweeps in one process, which have leases of their own."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.error import LedgerError
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.shared.ledger import CONTENT, LEASE, Ledger
from localtune.execution.shared.shared_slots import SharedSlots
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory

ONE_CPU = PlacementGroupFactory([{"CPU": 1}])
TWO_CPUS = PlacementGroupFactory([{"CPU": 2}])
ONE_GPU = PlacementGroupFactory([{"CPU": 1, "GPU": 1}])


class Sweeps:
    """Sweeps on one machine, and its time."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.made: list[SharedSlots] = []
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now)

    def begin(self, num_cpus: float = 2, num_gpus: float = 0, **options: Any) -> SharedSlots:
        slots = SharedSlots(num_cpus, num_gpus, directory=str(self.directory), **options)
        self.made.append(slots)
        slots.open()
        return slots

    def later(self, duration_s: float = 0.6) -> None:
        self.now += duration_s

    def written(self, slots: SharedSlots) -> dict[str, Any]:
        assert slots._own is not None
        path = Ledger(str(self.directory)).file_of(slots._own.lease.lease_id, CONTENT)
        content: dict[str, Any] = json.loads(Path(path).read_bytes())
        return content


@pytest.fixture
def sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweeps]:
    made = Sweeps(tmp_path / "ledger", monkeypatch)
    made.directory.mkdir(mode=0o700)
    yield made
    for slots in made.made:
        slots.clear()


def taken(slots: SharedSlots, request: PlacementGroupFactory = ONE_CPU) -> Slot:
    slot = slots.reserve(request)
    assert slot is not None
    return slot


def test_two_sweeps_take_no_more_than_the_machine_has(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    slot = taken(first, TWO_CPUS)
    assert second.reserve(ONE_CPU) is None
    first.release(slot)
    first.look_after()
    sweeps.later()
    assert second.reserve(ONE_CPU) is not None


def test_a_gpu_belongs_to_one_sweep(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    first, second = sweeps.begin(4, 2), sweeps.begin(4, 2)
    one, other = taken(first, ONE_GPU), taken(second, ONE_GPU)
    assert (one.gpu_ids, other.gpu_ids) == (("4",), ("7",))
    assert other.environment == {"CUDA_VISIBLE_DEVICES": "7"}
    assert first.reserve(ONE_GPU) is None
    second.release(other)
    second.look_after()
    sweeps.later()
    assert taken(first, ONE_GPU).gpu_ids == ("7",)


def test_fractions_of_one_gpu_are_for_both(sweeps: Sweeps) -> None:
    half = PlacementGroupFactory([{"GPU": 0.5}])
    first, second = sweeps.begin(1, 1), sweeps.begin(1, 1)
    assert taken(first, half).gpu_ids == taken(second, half).gpu_ids == ("0",)
    assert first.reserve(half) is None


def test_memory_and_named_resources_are_shared(sweeps: Sweeps) -> None:
    amounts = {"memory": 100, "licence": 1}
    first, second = sweeps.begin(resources=amounts), sweeps.begin(resources=amounts)
    taken(first, PlacementGroupFactory([{"licence": 1, "memory": 60}]))
    assert second.reserve(PlacementGroupFactory([{"licence": 1}])) is None
    assert second.reserve(PlacementGroupFactory([{"memory": 60}])) is None
    taken(second, PlacementGroupFactory([{"memory": 40}]))


def test_a_sweep_that_holds_all_leaves_the_next_free_slot_to_one_that_waits(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    slots = [taken(first), taken(first)]
    assert second.reserve(ONE_CPU) is None
    first.release(slots[0])
    assert first.reserve(ONE_CPU) is None, "the other one has less"
    sweeps.later()
    assert second.reserve(ONE_CPU) is not None
    first.release(slots[1])
    sweeps.later()
    assert first.reserve(ONE_CPU) is not None


def test_a_sweep_that_waits_tells_the_user_once_it_holds_nothing(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    taken(first, TWO_CPUS)
    assert second.why_no_more(ONE_CPU) == ""
    assert second.reserve(ONE_CPU) is None
    assert "localtune slots" in second.why_no_more(ONE_CPU)
    assert first.reserve(ONE_CPU) is None
    assert first.why_no_more(ONE_CPU) == "", "its own trials will end"


def test_what_waits_too_long_for_one_event_is_looked_at_again_soon(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    assert second.look_after() is None
    slot = taken(first, TWO_CPUS)
    assert second.reserve(ONE_CPU) is None
    assert second.look_after() == pytest.approx(0.1)
    sweeps.later(0.1)
    assert second.look_after() == 0.0
    assert second.reserve(ONE_CPU) is None
    assert second.look_after() == pytest.approx(0.1)
    first.release(slot)
    first.look_after()
    # The time stamps of the file system are coarse.
    (lock,) = sweeps.directory.glob("*.lock")
    os.utime(lock, ns=(1, 1))
    sweeps.later(0.1)
    assert second.reserve(ONE_CPU) is not None, "the change is seen at once"
    assert second.look_after() is None


def test_a_sweep_that_wants_no_more_keeps_nobody_waiting(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    slot = taken(first)
    assert second.reserve(TWO_CPUS) is None
    assert sweeps.written(second)["waits_for"] == {"CPU": 2.0}
    sweeps.later(0.1)
    first.release(slot)
    assert first.reserve(ONE_CPU) is None
    for _ in range(3):
        second.look_after()  # without a request in between
    assert sweeps.written(second)["waits_for"] is None
    sweeps.later()
    assert first.reserve(ONE_CPU) is not None


def test_a_sweep_that_is_stopped_keeps_nobody_waiting_for_long(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    slot = taken(first)
    assert second.reserve(TWO_CPUS) is None
    first.release(slot)
    for duration_s in (0.1, 4.0):
        sweeps.later(duration_s)
        assert first.reserve(ONE_CPU) is None
    sweeps.later(2.0)
    assert first.reserve(ONE_CPU) is not None


def test_a_wish_is_written_again_while_it_lasts(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    taken(first, TWO_CPUS)
    for _ in range(20):
        assert second.reserve(ONE_CPU) is None
        second.look_after()
        sweeps.later(0.5)
    written = sweeps.written(second)
    assert written["waits_since"] == 1000.0
    assert sweeps.now - written["asked_at"] <= 1.5


def test_what_other_requests_the_sweep_has_is_what_it_waits_for(sweeps: Sweeps) -> None:
    first, second = sweeps.begin(4), sweeps.begin(4)
    taken(first, PlacementGroupFactory([{"CPU": 3}]))
    assert second.reserve(TWO_CPUS) is None
    assert second.reserve(ONE_CPU) is not None, "a smaller trial of the same sweep"
    assert sweeps.written(second)["waits_for"] is None


def test_a_worker_keeps_its_slot_for_the_next_trial_unless_others_come_first(
    sweeps: Sweeps,
) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    slots = [taken(first), taken(first)]
    assert first.may_keep(slots[0])
    assert second.reserve(ONE_CPU) is None
    sweeps.later(0.1)
    assert not first.may_keep(slots[0])
    assert sweeps.written(first)["holds"] == {"CPU": 2.0}, "asking changes nothing"
    first.release(slots[0])
    first.look_after()
    sweeps.later()
    assert second.reserve(ONE_CPU) is not None
    assert second.reserve(ONE_CPU) is None
    sweeps.later(0.1)
    assert first.may_keep(slots[1]), "it has the smaller share then"


def test_own_limits_come_before_those_of_the_machine(sweeps: Sweeps) -> None:
    small, large = sweeps.begin(1), sweeps.begin(8)
    taken(large, PlacementGroupFactory([{"CPU": 6}]))
    slot = taken(small)
    assert small.reserve(ONE_CPU) is None
    assert sweeps.written(small)["waits_for"] is None, "it waits for its own trials"
    small.release(slot)
    assert "asks for 2 CPU, but this machine has 1" in small.why_never(TWO_CPUS)


def test_while_the_ledger_is_locked_requests_are_repeated_after_a_moment(
    sweeps: Sweeps, caplog: pytest.LogCaptureFixture
) -> None:
    slots = sweeps.begin()
    with Ledger(str(sweeps.directory)).locked() as is_locked:
        assert is_locked
        assert slots.reserve(ONE_CPU) is None
        assert slots.look_after() == pytest.approx(0.01)
        for _ in range(2):
            sweeps.later(10.1)
            assert slots.reserve(ONE_CPU) is None
            slots.look_after()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "has locked the ledger" in caplog.text
    sweeps.later(0.01)
    assert slots.reserve(ONE_CPU) is not None


def test_a_damaged_lease_in_use_keeps_all_waiting_and_is_repaired(
    sweeps: Sweeps, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = sweeps.begin(), sweeps.begin()
    taken(first)
    (path,) = {
        path
        for path in sweeps.directory.glob(f"*{CONTENT}")
        if json.loads(path.read_bytes())["trials"] == 1
    }
    path.write_text("{")
    for _ in range(2):
        assert second.reserve(ONE_CPU) is None
        second.look_after()
        sweeps.later()
    assert caplog.text.count("it is not JSON") == 1
    sweeps.later(2.0)
    first.look_after()
    assert caplog.text.count("Leave the files of a ledger alone") == 1
    assert second.reserve(ONE_CPU) is not None


def test_a_full_disk_lets_trials_wait(
    sweeps: Sweeps, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = sweeps.begin()

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", refuse)
        assert slots.reserve(ONE_CPU) is None
        slots.look_after()
    assert "No space left" in caplog.text
    sweeps.later(2.0)
    taken(slots, TWO_CPUS)
    assert sweeps.written(slots)["holds"] == {"CPU": 2.0}


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/jobs/train.py", "--name", "a b"], "train.py --name 'a b'"),
        (["/lib/localtune/__main__.py", "run"], "localtune run"),
        (["train.py", "x" * 1000], "train.py " + "x" * 291),
    ],
)
def test_the_lease_names_the_command_and_is_given_back(
    sweeps: Sweeps, argv: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    slots = sweeps.begin()
    written = sweeps.written(slots)
    assert written["pid"] == os.getpid() and written["since"] == 1000.0
    assert (written["total"]["CPU"], written["command"]) == (2.0, command)
    slots.clear()
    assert not list(sweeps.directory.glob(f"*{LEASE}"))
    taken(slots)  # It may be opened again.
    assert len(list(sweeps.directory.glob(f"*{LEASE}"))) == 1


def test_too_many_resources_are_refused_before_anything_is_made(sweeps: Sweeps) -> None:
    with pytest.raises(ValueError, match="too many or too long names"):
        sweeps.begin(resources={str(number): 1 for number in range(300)})
    assert list(sweeps.directory.iterdir()) == []


# -- the argument of the executor ------------------------------------------------------------------


def test_an_executor_shares_the_machine_if_it_is_told_to(sweeps: Sweeps) -> None:
    assert not isinstance(ProcessExecutor().slots, SharedSlots)
    assert isinstance(ProcessExecutor(shared=True).slots, SharedSlots)
    assert isinstance(ProcessExecutor(shared=sweeps.directory).slots, SharedSlots)


@pytest.mark.parametrize("value", [1, "", 0.5, ["a"]])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="shared must be True, False, or the directory"):
        ProcessExecutor(shared=value)


def test_a_group_without_its_directory_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="install -d"):
        ProcessExecutor(shared=str(tmp_path / "missing"))
