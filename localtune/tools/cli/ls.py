"""``localtune ls``: the experiments in a storage directory."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from typing import Any

from localtune.tools.cli.exit_codes import OK
from localtune.tools.cli.options import add_command, add_json, add_run, add_trust
from localtune.utils.messages import say


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "ls",
        "list experiments with their state, trials and best value",
        "[STORAGE] [options]",
        ["localtune ls", "localtune ls ./results --json"],
    )
    parser.add_argument(
        "storage", metavar="STORAGE", nargs="?", help="directory; default: ~/localtune_results"
    )
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.error import UsageError
    from localtune.tools.cli.json_text import show_json
    from localtune.tools.cli.places import experiments_in, places_below, storage_directory
    from localtune.tools.cli.reading import read_gently

    storage = storage_directory(args.storage)
    # The default place is made by the first run: before that there is just nothing in it.
    is_there = args.storage is not None or os.path.isdir(storage)
    paths = experiments_in(storage) if is_there else []
    views = []
    for path in paths:
        try:
            views.append(read_gently(path, args.run, trust=args.trust))
        except UsageError as error:  # It has no such run.
            say(f"{os.path.basename(path)}: {error}")
    if args.json:
        show_json([record_of(view) for view in views])
        return OK
    if views:
        _print(views)
    else:
        say(f"There are no experiments in {storage}.")
    for place in places_below(storage):
        say(f"There are some in {place}: localtune ls {shlex.quote(place)}")
    for view in views:
        note = view.problem or view.others()
        if note:
            say(f"{view.name}: {note}")
    return OK


def record_of(view: Any) -> dict[str, Any]:
    """What programs are told of an experiment."""
    best = view.best()
    return {
        "name": view.name,
        "path": view.path,
        "state": view.state.value,
        "run": view.run,
        "runs": len(view.runs),
        "pid": view.owner.pid if view.owner is not None else None,
        "trials": view.counts(),
        "metric": view.metric,
        "mode": view.mode,
        "best": {"trial_id": best[0].trial_id, "value": best[1]} if best is not None else None,
        "problem": view.problem or None,
    }


def _print(views: list[Any]) -> None:
    from localtune.tools.cli.table import print_table

    rows = []
    for view in views:
        counts = view.counts()
        best = view.best()
        rows.append(
            [
                view.name,
                view.state.value,
                f"{view.run} of {len(view.runs)}" if len(view.runs) > 1 else "",
                str(sum(counts.values())),
                str(counts.get("ERROR", 0) or ""),
                f"{view.metric}={best[1]:.5g}" if best is not None else "",
                _changed(view.path),
            ]
        )
    titles = ["EXPERIMENT", "STATE", "RUN", "TRIALS", "FAILED", "BEST", "CHANGED"]
    if not any(len(view.runs) > 1 for view in views):
        del titles[2]
        for row in rows:
            del row[2]
    print_table(titles, rows, numbers="TRIALS FAILED")


def _changed(path: str) -> str:
    """When anything was last recorded."""
    from localtune.result import EXPERIMENT_DB_FILE

    times = []
    for name in ("", EXPERIMENT_DB_FILE, f"{EXPERIMENT_DB_FILE}-wal"):
        try:
            times.append(os.stat(os.path.join(path, name)).st_mtime)
        except OSError:
            continue
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(max(times))) if times else ""
