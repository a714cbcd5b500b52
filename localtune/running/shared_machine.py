"""SharedMachine: who shares this machine, as the ledger of its sweeps has it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.execution.shared.choice import chosen
from localtune.execution.shared.fair_share import held, total_of
from localtune.execution.shared.host import host_name
from localtune.execution.shared.leases import Lease, from_units
from localtune.execution.shared.ledger import OWN_LEDGER, Entry, Ledger


@dataclass(frozen=True)
class SharingSweep:
    """One sweep on a shared machine. Its texts may come from another user.

    Attributes:
        user: Who runs it.
        pid: Process id of its parent, as the sweep says; None if its lease cannot be read.
        command: Its command line, as the sweep says.
        since: When it began, Unix time; None as for ``pid``.
        trials: How many trials hold resources.
        holds: {resource: amount} of them; ``memory`` is in bytes.
        gpus: {id of a GPU: amount} of them.
        waits_for: {resource: amount} of the trial that waits; {} if none does.
        waits_since: Since when, Unix time; None if none does.
        problem: Why its lease cannot be read; "" if it can.
    """

    user: str
    pid: int | None = None
    command: str = ""
    since: float | None = None
    trials: int = 0
    holds: Mapping[str, float] = field(default_factory=dict)
    gpus: Mapping[str, float] = field(default_factory=dict)
    waits_for: Mapping[str, float] = field(default_factory=dict)
    waits_since: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class SharedMachine:
    """The sweeps that share this machine.

    Attributes:
        ledger: The directory of the ledger.
        host: Name of this machine.
        total: {resource: amount} of the machine, as its sweeps know it; {} without sweeps.
        taken: {resource: amount} that the sweeps hold together.
        sweeps: The sweeps, the oldest first.
    """

    ledger: str
    host: str
    total: Mapping[str, float]
    taken: Mapping[str, float]
    sweeps: list[SharingSweep]


def read_machine(directory: str | None = None) -> SharedMachine:
    """Reads the ledger of this machine; changes nothing.

    Args:
        directory: The ledger of a group; None is what the user's settings name, else the user's
            own.

    Raises:
        LedgerError: if it cannot be used.
    """
    if directory is None:
        _, directory = chosen(None)
    path = os.path.abspath(os.path.expanduser(directory or OWN_LEDGER))
    if directory is None and not os.path.isdir(path):
        # The first sweep that shares the machine makes it.
        return SharedMachine(path, host_name(), {}, {}, [])
    entries = Ledger(directory, reads_only=True).entries()
    leases = [entry.lease for entry in entries if entry.lease is not None]
    sweeps = sorted(map(_sweep_of, entries), key=lambda sweep: sweep.since or 0.0)
    total, taken = from_units(total_of(leases)), from_units(held(leases))
    return SharedMachine(path, host_name(), total, taken, sweeps)


def _sweep_of(entry: Entry) -> SharingSweep:
    lease = entry.lease
    if lease is None:
        return SharingSweep(_user_name(entry.uid), problem=f"{entry.path}: {entry.problem}")
    return _sweep_with(_user_name(entry.uid), lease)


def _sweep_with(user: str, lease: Lease) -> SharingSweep:
    wish = lease.wish
    return SharingSweep(
        user,
        lease.pid,
        lease.command,
        lease.since,
        lease.trials,
        from_units(lease.holds),
        from_units(lease.gpus),
        {} if wish is None else from_units(wish.needs),
        None if wish is None else wish.since,
    )


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
