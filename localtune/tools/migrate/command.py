"""``localtune migrate``: changes scripts for Ray Tune into scripts for localtune."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from localtune.tools.commands.exit_codes import FAILED, OK
from localtune.tools.commands.options import add_command, add_json
from localtune.utils.messages import say, show, show_lines
from localtune.utils.text import count

if TYPE_CHECKING:
    from localtune.tools.migrate.migration import Migration, Place


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "migrate",
        "change scripts for Ray Tune into scripts for localtune",
        "SCRIPT... [options]",
        [
            "localtune migrate --check train.py",
            "localtune migrate train.py",
            "localtune migrate --write train.py notebooks/",
        ],
    )
    parser.add_argument(
        "scripts",
        metavar="SCRIPT",
        nargs="+",
        help="a script, a notebook, a directory, or - for the standard input",
    )
    parser.add_argument(
        "--check", action="store_true", help="list what would have to change, with lines"
    )
    parser.add_argument(
        "--write", action="store_true", help="change the files; default: print a diff"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.error import UsageError
    from localtune.tools.migrate.files import check_writable, write

    if args.check and args.write:
        raise UsageError("--check changes nothing: give either --check or --write.")
    done, unreadable = _migrations(args.scripts)
    changed = [each for each in done if each.is_changed]
    if args.write:
        for each in changed:
            check_writable(each.file)
        for each in changed:
            write(each.file, each.text)
    if args.json:
        _show_json(done, args.check)
    elif args.check:
        for each in done:
            for place in each.uses:
                show(place.marked_text(each.file.path))
    elif not args.write:
        for each in changed:
            show_lines(each.diff)
    for message in unreadable:
        say(message)
    say(_summary(done, args))
    is_clean = not any(each.uses if args.check else each.by_hand for each in done)
    return OK if is_clean and not unreadable else FAILED


def _migrations(paths: Sequence[str]) -> tuple[list[Migration], list[str]]:
    """What becomes of all files; and what is wrong with those that cannot be read.

    Raises:
        UsageError: for a file that cannot be read, if it was named itself.
    """
    from localtune.tools.migrate.files import UnreadableError, find, read
    from localtune.tools.migrate.migration import migration_of

    done, unreadable = {}, []
    for path, is_named in find(paths):
        try:
            done[path] = migration_of(read(path))
        except UnreadableError as error:
            if is_named:
                raise
            unreadable.append(str(error))
    return list(done.values()), unreadable


def _summary(done: Sequence[Migration], args: argparse.Namespace) -> str:
    """What was found, and what is left to hand."""
    uses = [place for each in done for place in each.uses]
    files = count(len(done), "file")
    if not uses:
        return f"Nothing of Ray, and no old name, in {files}."
    if args.check:
        left = sum(place.is_by_hand for place in uses)
        return f"Found {count(len(uses), 'place')} in {files}, {left or 'none'} to change by hand."
    lines = []
    if args.write:
        lines.append(f"Changed {count(sum(each.is_changed for each in done), 'file')}.")
    by_hand = [(each, place) for each in done for place in each.by_hand]
    if by_hand:
        where = "" if args.write else ", in lines of the changed script"
        lines.append(f"To change by hand{where}:")
        lines += [f"  {place.text(each.file.path)}" for each, place in by_hand]
    return "\n".join(lines) if lines else "Nothing is left to change by hand."


def _show_json(done: Sequence[Migration], is_check: bool) -> None:
    from localtune.tools.commands.json_text import show_json

    show_json(
        [
            {
                "file": each.file.path,
                "changed": each.is_changed,
                "uses": [_as_json(place) for place in each.uses],
                "by_hand": [_as_json(place) for place in _by_hand(each, is_check)],
                **({} if is_check else {"diff": each.diff}),
            }
            for each in done
        ]
    )


def _by_hand(migration: Migration, is_check: bool) -> list[Place]:
    """What is left to hand: with lines of the file as it is, if it is not going to change."""
    if is_check:
        return [each for each in migration.uses if each.is_by_hand]
    return migration.by_hand


def _as_json(place: Place) -> dict[str, Any]:
    found = place.finding
    return {
        "cell": place.cell,
        "line": found.line,
        "column": found.column,
        "name": found.name,
        "advice": found.advice,
    }
