"""``localtune ls``: the experiments in a storage directory."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from typing import Any

from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import add_command, add_json, add_run, add_trust
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
    from localtune.analysis.experiment_paths import (
        experiments_in,
        folders_with_experiments,
        storage_directory,
    )
    from localtune.analysis.reader import read_or_explain
    from localtune.error import UsageError
    from localtune.tools.commands.json_text import show_json

    storage = storage_directory(args.storage)
    # The first run makes the default directory: before that there are no experiments.
    is_there = args.storage is not None or os.path.isdir(storage)
    paths = experiments_in(storage) if is_there else []
    experiments = []
    for path in paths:
        try:
            experiments.append(read_or_explain(path, args.run, trust=args.trust, best=1))
        except UsageError as error:  # It has no such run.
            say(f"{os.path.basename(path)}: {error}")
    if args.json:
        show_json([record_of(saved) for saved in experiments])
        return OK
    if experiments:
        _print(experiments)
    else:
        say(f"There are no experiments in {storage}.")
    for place in folders_with_experiments(storage):
        say(f"There are some in {place}: localtune ls {shlex.quote(place)}")
    for saved in experiments:
        note = saved.problem or saved.others()
        if note:
            say(f"{saved.name}: {note}")
    return OK


def record_of(saved: Any) -> dict[str, Any]:
    """Returns an experiment as JSON shows it."""
    best = saved.best()
    return {
        "name": saved.name,
        "path": saved.path,
        "state": saved.state.value,
        "run": saved.run,
        "runs": len(saved.runs),
        "pid": saved.owner.pid if saved.owner is not None else None,
        "trials": saved.counts(),
        "metric": saved.metric,
        "mode": saved.mode,
        "best": {"trial_id": best[0].trial_id, "value": best[1]} if best is not None else None,
        "problem": saved.problem or None,
    }


def _print(experiments: list[Any]) -> None:
    from localtune.tools.commands.table import print_table

    rows = []
    for saved in experiments:
        counts = saved.counts()
        best = saved.best()
        rows.append(
            [
                saved.name,
                saved.state.value,
                f"{saved.run} of {len(saved.runs)}" if len(saved.runs) > 1 else "",
                str(sum(counts.values())),
                str(counts.get("ERROR", 0) or ""),
                f"{saved.metric}={best[1]:.5g}" if best is not None else "",
                _changed(saved.path),
            ]
        )
    titles = ["EXPERIMENT", "STATE", "RUN", "TRIALS", "FAILED", "BEST", "CHANGED"]
    if not any(len(saved.runs) > 1 for saved in experiments):
        del titles[2]
        for row in rows:
            del row[2]
    print_table(titles, rows, numbers="TRIALS FAILED")


def _changed(path: str) -> str:
    """Returns the time of the latest record, as text."""
    from localtune.result import EXPERIMENT_DB_FILE

    times = []
    for name in ("", EXPERIMENT_DB_FILE, f"{EXPERIMENT_DB_FILE}-wal"):
        try:
            times.append(os.stat(os.path.join(path, name)).st_mtime)
        except OSError:
            continue
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(max(times))) if times else ""
