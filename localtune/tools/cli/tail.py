"""``localtune tail``: the output of a trial, or its results if the output was not kept."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from localtune.tools.commands.checks import positive
from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import (
    add_command,
    add_experiment,
    add_run,
    add_trust,
    checked,
)
from localtune.utils.files import no_link
from localtune.utils.messages import say, show, show_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localtune.analysis.reader import SavedExperiment
    from localtune.trial.trial import Trial

_POLL_S = 0.1
# A look at an experiment is followed by this many times as long without one.
_REST_FACTOR = 10
_CHUNK_BYTES = 1 << 16


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "tail",
        "show the end of a trial's output, or its latest results",
        "EXPERIMENT TRIAL [options]",
        ["localtune tail sweep 3", "localtune tail sweep a1b2c_00003 -f -n 100"],
    )
    add_experiment(parser)
    parser.add_argument("trial", metavar="TRIAL", help="its id, number or directory, or the start")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="print new lines until the trial ends"
    )
    parser.add_argument(
        "-n",
        "--lines",
        metavar="N",
        type=checked(positive),
        default=20,
        help="number of lines of each file; default: 20",
    )
    add_run(parser)
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.reader import find_trial, read_saved
    from localtune.result import EXPR_RESULT_FILE

    path = find_experiment(args.experiment, args.storage)
    look = partial(read_saved, path, args.run, trust=args.trust)
    trial = find_trial(look(), args.trial)
    if not trial.dirname:
        say(f"The trial {trial.trial_id} has not started yet.")
        if args.follow:
            trial = _started(path, trial, look)
        if not trial.dirname:
            return OK
    names = list(dict.fromkeys(name for name in trial.log_to_file if name is not None))
    if not names:
        say(
            "What this trial printed was not kept: give --log-to-file when you run a sweep. These "
            "are its results."
        )
        names = [EXPR_RESULT_FILE]
    files = [_Tail(os.path.join(trial.path, name)) for name in names]
    for each in files:
        each.show_last(args.lines, with_title=len(files) > 1)
    if args.follow:
        _follow(path, trial, files, look)
    return OK


class _Tail:
    """A file that may grow, or that does not exist yet.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = 0

    def show_last(self, lines: int, *, with_title: bool) -> None:
        """Prints the last lines there are now."""
        if with_title:
            show(f"==> {os.path.basename(self._path)} <==")
        try:
            with open(self._path, "rb", opener=no_link) as file:
                last = deque(file, lines)
                self._position = file.tell()
        except FileNotFoundError:
            return
        end = b"\n" if last and not last[-1].endswith(b"\n") and b"\r" in last[-1] else b""
        _print(b"".join(last) + end)

    def show_new(self) -> bool:
        """Prints the new content; returns whether there was any."""
        try:
            with open(self._path, "rb", opener=no_link) as file:
                if os.fstat(file.fileno()).st_size < self._position:
                    self._position = 0  # It was cut back: the trial goes on from a checkpoint.
                file.seek(self._position)
                content = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return False
        self._position += len(content)
        # Each state of a progress bar is shown; they come too slowly to wait for the last.
        _print(re.sub(rb"\r+(?!\n)", b"\n", content))
        return bool(content)


def _print(content: bytes) -> None:
    if content:
        show_lines(content.decode("utf-8", "replace"), end="")


def _started(path: str, trial: Trial, look: Callable[[], SavedExperiment]) -> Trial:
    """Waits until the trial has a directory, or has ended without one; returns the trial."""
    for latest, is_over in _changes(path, trial, look):
        if latest.dirname or is_over:
            return latest
    raise AssertionError("changes come without end")


def _follow(
    path: str, trial: Trial, files: list[_Tail], look: Callable[[], SavedExperiment]
) -> None:
    """Prints new content until the trial has ended, or no process runs it."""
    for _, is_over in _changes(path, trial, look):
        # All that was written before the end can be read now.
        for each in files:
            while each.show_new():
                pass
        if is_over:
            return


def _changes(
    path: str, trial: Trial, look: Callable[[], SavedExperiment]
) -> Iterator[tuple[Trial, bool]]:
    """Yields the recorded trial again and again, and whether no more output will come."""
    from localtune.analysis.reader import ExperimentState

    seen: object = None
    is_over = False
    next_look = 0.0
    while True:
        stamp = _stamp(path)
        now = time.monotonic()
        if stamp != seen and now >= next_look:
            saved = look()
            # A run may write all the time; reading it must not take all the time.
            next_look = now + _REST_FACTOR * (time.monotonic() - now)
            trial = next((each for each in saved.trials if each.trial_id == trial.trial_id), trial)
            is_over = trial.is_finished() or saved.state is not ExperimentState.RUNNING
            seen = stamp
        yield trial, is_over
        time.sleep(_POLL_S)


def _stamp(path: str) -> object:
    """Returns a value that changes with each record, and when the run ends."""
    from localtune.analysis.reader import find_owner
    from localtune.result import EXPERIMENT_DB_FILE

    found: list[object] = [find_owner(path)]
    for name in (EXPERIMENT_DB_FILE, f"{EXPERIMENT_DB_FILE}-wal"):
        try:
            status = os.stat(os.path.join(path, name))
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return found
