"""``localtune clean``: removes experiments, and nothing else.

What goes is a directory in the storage, no link, that has an experiment's database and marker,
belongs to this user, holds no other experiment, and is run by nobody. It is renamed while its lock
is held, then removed: who comes in between finds all of it or nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import time
from dataclasses import dataclass
from typing import Any

from localtune.tools.cli.exit_codes import FAILED, OK
from localtune.tools.cli.options import add_command, add_json, checked
from localtune.tools.cli.settings import duration
from localtune.utils.messages import say, show


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "clean",
        "remove experiments; without --yes it only says which",
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
        "--name", metavar="PATTERN", default="*", help="only these; * stands for anything"
    )
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=checked(duration),
        default=0.0,
        help="only those unchanged for so long: 12h, 30d",
    )
    parser.add_argument("--yes", action="store_true", help="do it")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.tools.cli.json_text import show_json
    from localtune.tools.cli.places import experiments_in, storage_directory

    storage = storage_directory(args.storage)
    found = [_look_at(path) for path in experiments_in(storage)]
    wanted = [
        each
        for each in found
        if fnmatch.fnmatchcase(os.path.basename(each.path), args.name)
        and time.time() - each.changed >= args.older_than
    ]
    outcomes = [(each, each.problem or (_remove(each.path) if args.yes else "")) for each in wanted]
    if args.json:
        show_json([_record(each, problem, args.yes) for each, problem in outcomes])
    else:
        _print(storage, outcomes, is_done=args.yes)
    # What must stay is no failure; what should have gone and did not is one.
    return FAILED if any(problem and not each.problem for each, problem in outcomes) else OK


def _record(each: _Candidate, problem: str, is_done: bool) -> dict[str, Any]:
    """What programs are told of an experiment."""
    return {
        "path": each.path,
        "size_bytes": each.size_bytes,
        "removed": is_done and not problem,
        "problem": problem or None,
    }


def _print(storage: str, outcomes: list[tuple[_Candidate, str]], *, is_done: bool) -> None:
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


@dataclass(frozen=True)
class _Candidate:
    """An experiment that may go.

    Attributes:
        path: Its directory.
        size_bytes: Of all its files.
        changed: Unix time at which any of them changed last.
        problem: Why it must stay, "" if it need not.
    """

    path: str
    size_bytes: int
    changed: float
    problem: str


def _look_at(path: str) -> _Candidate:
    from localtune.error import UntrustedDirectoryError
    from localtune.storage.owner import find_owner
    from localtune.tools.cli.places import is_complete_experiment, is_experiment
    from localtune.utils.trust import check_trusted

    size, changed, problem = 0, 0.0, ""
    if not is_complete_experiment(path):
        problem = "it lacks files that an experiment has, or is a link"
        return _Candidate(path, size, changed, problem)
    for directory, folders, files in os.walk(path):
        if directory != path and is_experiment(directory):
            problem = f"it holds another experiment, {directory}"
        for name in [*folders, *files]:
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:
                continue  # It went while we looked.
            size += status.st_size if name in files else 0
            changed = max(changed, status.st_mtime)
    try:
        check_trusted(path)
    except UntrustedDirectoryError:
        problem = "another user could have written it"
    else:
        owner = find_owner(path)
        if owner is not None:
            problem = f"{owner} is running it"
    return _Candidate(path, size, changed, problem)


def _remove(path: str) -> str:
    """Removes an experiment; returns why it could not be, "" if it is gone."""
    from localtune.error import ExperimentInUseError
    from localtune.storage.locks import experiment_locked
    from localtune.tools.cli.places import is_complete_experiment
    from localtune.utils.files import remove_tree

    aside = f"{path}.removing-{os.urandom(4).hex()}"
    try:
        with experiment_locked(path):
            if not is_complete_experiment(path):
                return "it changed just now"
            os.rename(path, aside)
        remove_tree(aside)
    except ExperimentInUseError:
        return "it is being run"
    except OSError as error:
        return f"{error.strerror or error}"
    return ""
