"""``localtune clean``: removes experiments, and nothing else."""

from __future__ import annotations

import argparse
import fnmatch
import os
import time
from typing import TYPE_CHECKING, Any

from localtune.tools.commands.checks import duration
from localtune.tools.commands.exit_codes import FAILED, OK
from localtune.tools.commands.options import add_command, add_json, checked
from localtune.utils.messages import say, show

if TYPE_CHECKING:
    from localtune.running.removal import RemovalCandidate


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "clean",
        "remove experiments; without --yes, only list them",
        "[STORAGE] [options]",
        [
            "localtune clean --older-than 30d",
            "localtune clean ./results --name 'try_*' --yes",
        ],
    )
    parser.add_argument(
        "storage", metavar="STORAGE", nargs="?", help="directory; default: ~/localtune_results"
    )
    parser.add_argument(
        "--name", metavar="PATTERN", default="*", help="only experiments with such a name, as try_*"
    )
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=checked(duration),
        default=0.0,
        help="only if unchanged for this time: 12h, 30d",
    )
    parser.add_argument(
        "--yes", action="store_true", help="remove them; without it, only list them"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import experiments_in, storage_directory
    from localtune.running.removal import examine, remove_experiment
    from localtune.tools.commands.json_text import show_json

    storage = storage_directory(args.storage)
    found = [examine(path) for path in experiments_in(storage)]
    wanted = [
        each
        for each in found
        if fnmatch.fnmatchcase(os.path.basename(each.path), args.name)
        and time.time() - each.changed >= args.older_than
    ]
    outcomes = [
        (each, each.problem or (remove_experiment(each.path) if args.yes else ""))
        for each in wanted
    ]
    if args.json:
        show_json([_record(each, problem, args.yes) for each, problem in outcomes])
    else:
        _print(storage, outcomes, is_done=args.yes)
    # An experiment that must stay is no failure. One that could not be removed is.
    return FAILED if any(problem and not each.problem for each, problem in outcomes) else OK


def _record(each: RemovalCandidate, problem: str, is_done: bool) -> dict[str, Any]:
    """Returns an experiment as JSON."""
    return {
        "path": each.path,
        "size_bytes": each.size_bytes,
        "removed": is_done and not problem,
        "problem": problem or None,
    }


def _print(storage: str, outcomes: list[tuple[RemovalCandidate, str]], *, is_done: bool) -> None:
    from localtune.utils.text import count, format_bytes

    gone = [each for each, problem in outcomes if not problem]
    for each, problem in outcomes:
        if problem:
            say(f"kept     {each.path}: {problem}")
        else:
            verb = "removed " if is_done else "would go"
            show(f"{verb} {each.path}  {format_bytes(each.size_bytes)}")
    text = f"{count(len(gone), 'experiment')}, {format_bytes(sum(e.size_bytes for e in gone))}"
    if not gone:
        say(f"Nothing to remove in {storage}.")
    elif not is_done:
        say(f"{text}. Nothing is removed yet: add --yes.")
    else:
        say(f"Removed {text}.")
