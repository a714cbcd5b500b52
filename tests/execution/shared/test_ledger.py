"""The ledger as a directory: rights, locks, and files that nobody should find there."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localtune.error import LedgerError
from localtune.execution.shared import host
from localtune.execution.shared import ledger as ledger_module
from localtune.execution.shared.leases import MAX_BYTES, Lease, to_units
from localtune.execution.shared.ledger import CONTENT, LEASE, NEW, Ledger
from localtune.execution.shared.own_lease import OwnLease
from localtune.utils import file_lock

HOLDER = """
import sys
from localtune.execution.shared.leases import Lease
from localtune.execution.shared.ledger import Ledger
from localtune.execution.shared.own_lease import OwnLease
own = OwnLease(Ledger(sys.argv[1]), Lease("", pid=1, command="holder"))
print(own.lease.lease_id, flush=True)
sys.stdin.readline()
"""
HOLDER_WITH_WORKER = """
import subprocess, sys
from localtune.execution.shared.leases import Lease
from localtune.execution.shared.ledger import Ledger
from localtune.execution.shared.own_lease import OwnLease
own = OwnLease(Ledger(sys.argv[1]), Lease(""))
wait = "import sys; sys.stdin.readline()"
worker = subprocess.Popen([sys.executable, "-c", wait], pass_fds=[own.descriptor])
print("started", flush=True)
worker.wait()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "ledger"
    made.mkdir(mode=0o700)
    return made


def own_lease(directory: Path, **values: Any) -> OwnLease:
    return OwnLease(Ledger(str(directory)), Lease("", **values))


# -- the directory ---------------------------------------------------------------------------------


def test_the_users_own_is_made_and_closed_to_others() -> None:
    ledger = Ledger()
    assert ledger.path == os.path.expanduser("~/.cache/localtune/ledger")
    assert stat.S_IMODE(os.stat(ledger.path).st_mode) == 0o700


def test_the_directory_of_a_group_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"No such file or directory.*install -d -m 3770"):
        Ledger(str(tmp_path / "missing"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="Not a directory"):
        Ledger(str(tmp_path / "file"))


def test_a_directory_whose_files_everybody_may_remove_is_refused(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(LedgerError, match="every user may remove the files of others"):
        Ledger(str(directory))
    directory.chmod(0o1777)
    Ledger(str(directory))


def test_a_directory_that_others_could_exchange_is_refused(directory: Path) -> None:
    directory.parent.chmod(0o777)
    with pytest.raises(LedgerError, match="another user could put another directory"):
        Ledger(str(directory))


def test_the_own_ledger_must_not_be_writable_for_others() -> None:
    path = Path(Ledger().path)
    path.chmod(0o777)
    try:
        with pytest.raises(LedgerError, match="every user may write into it"):
            Ledger()
    finally:
        path.chmod(0o700)


def test_a_directory_without_the_right_to_write_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, rights: not rights & os.W_OK)
    with pytest.raises(LedgerError, match="this user may not write into it"):
        Ledger(str(directory))
    Ledger(str(directory), reads_only=True)


def test_files_are_open_to_those_who_may_write_the_directory(directory: Path) -> None:
    directory.chmod(0o3770)
    before = os.umask(0o077)
    try:
        own = own_lease(directory)
        with Ledger(str(directory)).locked() as is_locked:
            assert is_locked
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {0o660}
    own.close()


# -- locks -----------------------------------------------------------------------------------------


def test_one_at_a_time_locks_it(directory: Path) -> None:
    first, second = Ledger(str(directory)), Ledger(str(directory))
    with first.locked() as is_first, second.locked() as is_second:
        assert (is_first, is_second) == (True, False)
    with second.locked() as is_second:
        assert is_second
    assert [path.suffix for path in directory.iterdir()] == [".lock"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused_with_a_remedy(
    directory: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    ledger = Ledger(str(directory))
    monkeypatch.setattr(file_lock, "_FLOCK", refuse)
    with pytest.raises(LedgerError, match=r"has no locks.*on a local disk"):
        OwnLease(ledger, Lease(""))
    assert list(directory.iterdir()) == []
    with pytest.raises(LedgerError, match="has no locks"), ledger.locked():
        pass


def test_a_system_without_flock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "HAS_FLOCK", False)
    with pytest.raises(LedgerError, match="num_cpus="):
        Ledger()


def test_what_a_killed_process_held_is_free_and_its_files_go(directory: Path) -> None:
    ledger = Ledger(str(directory))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        lease_id = holder.stdout.readline().strip()
        (entry,) = ledger.entries()
        assert entry.lease is not None and entry.uid == os.getuid()
        assert (entry.lease.lease_id, entry.lease.command) == (lease_id, "holder")
        holder.send_signal(signal.SIGKILL)
    assert ledger.entries() == []
    assert len(list(directory.iterdir())) == 2, "a look alone removes nothing"
    assert ledger.entries(removes=True) == []
    assert list(directory.iterdir()) == []


def test_a_process_with_the_descriptor_keeps_the_lease(directory: Path) -> None:
    """As a worker does whose parent was killed."""
    ledger = Ledger(str(directory))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER_WITH_WORKER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "started\n"
        holder.kill()
        holder.wait()
        assert len(ledger.entries(removes=True)) == 1
        holder.stdin.close()
        assert holder.stdout.read() == "", "the worker has ended, too"
    assert ledger.entries(removes=True) == []


# -- files of others -------------------------------------------------------------------------------


def sealed(record: dict[str, Any]) -> bytes:
    """JSON with the right checksum."""
    body = json.dumps(record).encode()[:-1]
    return body + b', "crc": "%08x"}' % zlib.crc32(body)


def damage(directory: Path, do: Callable[[Path], object]) -> str:
    """What is said of a lease in use after something was done to its content."""
    own = own_lease(directory, holds=to_units({"CPU": 1}))
    ledger = Ledger(str(directory))
    do(Path(ledger.file_of(own.lease.lease_id, CONTENT)))
    (entry,) = ledger.entries(removes=True)
    assert entry.lease is None, "nobody knows what it holds"
    own.close()
    return entry.problem


def replace_by_link(path: Path) -> None:
    target = path.with_name("target")
    path.rename(target)
    path.symlink_to(target)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("do", "problem"),
    [
        (lambda path: path.write_text("{"), "it is not JSON"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "it is not JSON"),
        (lambda path: os.truncate(path, MAX_BYTES + 1), "larger than"),
        (lambda path: os.truncate(path, 1 << 40), "larger than"),
        (
            lambda path: path.write_text(path.read_text().replace('"CPU": 1.0', '"CPU": 0.0')),
            "not as its sweep has written it",
        ),
        (lambda path: path.write_bytes(sealed({"format": 1})), "'pid'"),
        (lambda path: path.unlink(), "cannot be read"),
        (replace_by_link, "cannot be read"),
        (replace_by_pipe, "no regular file"),
        (replace_by_directory, "no regular file"),
    ],
    ids=["text", "torn", "large", "huge", "edited", "false", "gone", "link", "pipe", "directory"],
)
def test_a_lease_in_use_that_was_damaged_is_told_apart(
    directory: Path, do: Callable[[Path], object], problem: str
) -> None:
    assert problem in damage(directory, do)


def test_content_that_another_user_has_written_does_not_count(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_lease(directory)
    ledger = Ledger(str(directory))
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        values[stat.ST_UID] += 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", of_another)
    (entry,) = ledger.entries()
    monkeypatch.undo()
    assert entry.lease is None and "another user" in entry.problem
    own.close()


def test_other_files_are_left_alone(directory: Path) -> None:
    ledger = Ledger(str(directory))
    mine = Path(ledger.file_of("junk", LEASE))
    other_host = directory / "otherhost-01234567.a1b2.lease"
    os.mkfifo(directory / "pipe.lease")
    mine.mkdir()
    other_host.touch()
    assert ledger.entries(removes=True) == []
    ledger.remove_leftovers()
    assert other_host.exists() and mine.exists()


def test_a_directory_with_very_many_files_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MAX_FILES", 3)
    for number in range(4):
        (directory / str(number)).touch()
    with pytest.raises(LedgerError, match="more than 3 files"):
        Ledger(str(directory)).entries()


def test_hosts_with_one_directory_have_ledgers_of_their_own(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_lease(directory)
    monkeypatch.setattr(host, "_boot_id", lambda: "01234567")
    other = Ledger(str(directory))
    assert other.entries() == []
    with Ledger(str(directory)).locked() as is_locked, other.locked() as is_other_locked:
        assert is_locked and not is_other_locked
    monkeypatch.undo()
    with Ledger(str(directory)).locked() as is_locked, other.locked() as is_other_locked:
        assert is_locked and is_other_locked
    own.close()


def test_what_an_earlier_boot_has_left_is_removed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(host, "_boot_id", lambda: "01234567")
        ledger = Ledger(str(directory))
        living = OwnLease(ledger, Lease(""))
        with ledger.locked():
            pass
        dead = living.lease.lease_id.replace(living.lease.lease_id[0], "x")
        Path(ledger.file_of(dead, LEASE)).touch()
        Path(ledger.file_of(dead, NEW)).touch()
    Ledger(str(directory)).remove_leftovers()
    left = {path.suffix for path in directory.iterdir()}
    assert LEASE in left, "a machine with the same name may live, and hold it"
    living.close()
    assert not [path for path in directory.iterdir() if path.suffix in (".lock", NEW)]


def test_files_of_a_sweep_that_was_killed_while_it_began_go_after_an_hour(directory: Path) -> None:
    ledger = Ledger(str(directory))
    own = OwnLease(ledger, Lease(""))
    for suffix in (NEW, CONTENT):
        Path(ledger.file_of("young", suffix)).touch()
        old = Path(ledger.file_of("old", suffix))
        old.touch()
        os.utime(old, (0, 0))
    os.utime(ledger.file_of(own.lease.lease_id, CONTENT), (0, 0))
    ledger.remove_leftovers()
    names = [path.name for path in directory.iterdir()]
    assert sorted(name.split(".", 1)[1] for name in names if "young" in name) == [
        "young.json",
        "young.new",
    ]
    assert not [name for name in names if "old" in name]
    assert len(names) == 4, "the content of a living sweep stays"
    own.close()


# -- the own lease ---------------------------------------------------------------------------------


def test_it_is_written_anew_if_somebody_changes_its_content(directory: Path) -> None:
    own = own_lease(directory, trials=3)
    ledger = Ledger(str(directory))
    content = Path(ledger.file_of(own.lease.lease_id, CONTENT))
    assert own.look_after() == ""
    content.write_text("{}")
    assert own.look_after() == "its content was changed"
    content.unlink()
    assert own.look_after() == "its content was removed"
    assert own.look_after() == ""
    (entry,) = ledger.entries()
    assert entry.lease is not None and entry.lease.trials == 3
    own.close()


def test_it_gets_a_new_lock_if_somebody_removes_its_files(directory: Path) -> None:
    own = own_lease(directory, trials=3)
    ledger = Ledger(str(directory))
    number = own.descriptor
    for path in directory.iterdir():
        path.unlink()
    assert own.look_after() == "its lock was removed"
    assert own.look_after() == ""
    assert own.descriptor == number, "workers get it by its number"
    (entry,) = ledger.entries()
    assert entry.lease is not None and entry.lease.trials == 3
    own.close()
    assert list(directory.iterdir()) == []


def test_a_directory_that_is_full_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(LedgerError, match="No space left"):
        own_lease(directory)
    monkeypatch.undo()
    assert list(directory.iterdir()) == []
