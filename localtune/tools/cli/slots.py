"""``localtune slots``: who holds what of this machine, and who waits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import add_command, add_json
from localtune.utils.messages import say, show
from localtune.utils.text import format_bytes, format_duration

if TYPE_CHECKING:
    from localtune.running.shared_machine import SharedMachine, SharingSweep

# A number of seconds since then is no time of a sweep.
_LATEST_TIME = 2.0**40


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "slots",
        "show the sweeps that share this machine: who holds what, who waits",
        "[options]",
        ["localtune slots", "localtune slots --ledger /srv/localtune-ledger --json"],
    )
    parser.add_argument(
        "--ledger", metavar="DIR", help="of a group; default: that of your settings, or your own"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.running.shared_machine import read_machine

    machine = read_machine(args.ledger)
    if args.json:
        from localtune.tools.commands.json_text import show_json

        show_json(record_of(machine))
        return OK
    if machine.sweeps:
        _print(machine)
    else:
        say(f"No sweep shares {machine.host} by the ledger {machine.ledger}.")
    for sweep in machine.sweeps:
        if sweep.problem:
            say(f"Nobody takes anything: a lease of {sweep.user} is damaged. {sweep.problem}")
    return OK


def record_of(machine: SharedMachine) -> dict[str, Any]:
    """Returns a shared machine as JSON shows it."""
    return {
        "ledger": machine.ledger,
        "host": machine.host,
        "total": dict(machine.total),
        "taken": dict(machine.taken),
        "sweeps": [
            {
                "user": sweep.user,
                "pid": sweep.pid,
                "command": sweep.command,
                "since": sweep.since,
                "trials": sweep.trials,
                "holds": dict(sweep.holds),
                "gpus": dict(sweep.gpus),
                "waits_for": dict(sweep.waits_for) or None,
                "waits_since": sweep.waits_since,
                "problem": sweep.problem or None,
            }
            for sweep in machine.sweeps
        ],
    }


def _print(machine: SharedMachine) -> None:
    from localtune.tools.commands.table import print_table

    parts = [
        f"{_amount(name, machine.taken.get(name, 0.0))} of {_amount(name, amount)} {name}"
        for name, amount in machine.total.items()
    ]
    show(f"{machine.host}: {', '.join(parts)} taken")
    rows = [_row(sweep) for sweep in machine.sweeps]
    titles = ["PID", "USER", "SINCE", "TRIALS", "HOLDS", "WAITS FOR", "COMMAND"]
    print_table(titles, rows, numbers="PID TRIALS")


def _row(sweep: SharingSweep) -> list[str]:
    if sweep.problem:
        return ["?", sweep.user, "", "", "?", "", ""]
    waits = ""
    if sweep.waits_since is not None:
        waited_s = max(time.time() - sweep.waits_since, 0.0)
        waits = f"{_amounts(sweep.waits_for)}, for {format_duration(waited_s)}"
    return [
        str(sweep.pid),
        sweep.user,
        _time(sweep.since),
        str(sweep.trials),
        _amounts(sweep.holds, sweep.gpus),
        waits,
        sweep.command,
    ]


def _amounts(amounts: Mapping[str, float], gpus: Mapping[str, float] | None = None) -> str:
    parts = [f"{_amount(name, amount)} {name}" for name, amount in amounts.items()]
    if gpus:
        parts.append(f"GPU {' '.join(gpus)}")
    return ", ".join(parts)


def _amount(name: str, amount: float) -> str:
    return format_bytes(amount) if name == "memory" else f"{amount:g}"


def _time(since: float | None) -> str:
    if since is None or not 0.0 <= since <= _LATEST_TIME:
        return "?"
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
