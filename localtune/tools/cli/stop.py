"""``localtune stop``: ends a run in good order, from another terminal.

stop --SIGTERM--> the process that holds the experiment's lock
                  running trials write a checkpoint, the run ends, the lock is free
stop waits until then
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Any

from localtune.tools.commands.checks import duration
from localtune.tools.commands.exit_codes import FAILED, OK
from localtune.tools.commands.options import add_command, add_experiment, add_trust, checked
from localtune.utils.messages import say

_POLL_S = 0.05


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "stop",
        "end a run in good order; running trials write a checkpoint",
        "EXPERIMENT [options]",
        ["localtune stop sweep", "localtune stop sweep --timeout 5m"],
    )
    add_experiment(parser)
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=checked(duration),
        help="longest wait for the end; default: no limit",
    )
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.reader import find_owner
    from localtune.result import COMMAND_FILE
    from localtune.utils.trust import check_trusted

    path = find_experiment(args.experiment, args.storage)
    # A file in there names the process that is told to end.
    check_trusted(path, trust=args.trust)
    owner = find_owner(path)
    if owner is None:
        say(f"No process is running {path}.")
        return FAILED
    if not owner.is_here:
        say(f"{path} is run by {owner}: call 'localtune stop' there.")
        return FAILED
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # It ended just now.
    except PermissionError:
        say(f"{path} is run by {owner}, which belongs to another user.")
        return FAILED
    say(f"Told {owner} to end. Running trials finish their iteration and write a checkpoint.")
    deadline = None if args.timeout is None else time.monotonic() + args.timeout
    while find_owner(path) == owner:
        if deadline is not None and time.monotonic() > deadline:
            say(f"{owner} has not ended yet. It will when its trials come to their next result.")
            return FAILED
        time.sleep(_POLL_S)
    target = "" if os.path.exists(os.path.join(path, COMMAND_FILE)) else " TARGET"
    say(f"Stopped. Go on with: localtune resume {path}{target}")
    return OK
