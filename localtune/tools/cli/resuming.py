"""The common parts of ``localtune resume`` and ``localtune retry``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from localtune.error import UsageError
from localtune.tools.commands.options import add_experiment, add_json, add_run, add_trust, checked
from localtune.tools.commands.settings import executor, resources
from localtune.utils.remote_store import is_uri

if TYPE_CHECKING:
    from localtune.tuner import Tuner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``resume`` and ``retry``."""
    add_experiment(parser)
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="the trainable; default: that of 'localtune run'",
    )
    parser.add_argument(
        "--resources",
        metavar="cpu=N,gpu=N",
        type=checked(resources),
        help="resources of new trials, if the run set them",
    )
    parser.add_argument(
        "--executor",
        metavar="NAME",
        type=checked(executor),
        help="where trials run: processes, ray, dask",
    )
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def go_on(
    args: argparse.Namespace, *, resume_errored: bool = False, restart_errored: bool = False
) -> int:
    """Resumes an experiment; returns the exit code.

    Args:
        args: Arguments of the command.
        resume_errored: Whether failed trials continue from their checkpoints.
        restart_errored: Whether failed trials start again from the beginning.
    """
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.tools.cli.outcome import carry_out

    path = args.experiment
    if not is_uri(path):  # An experiment in a store must stay connected with the store.
        path = find_experiment(path, args.storage)

    def make_tuner() -> Tuner:
        from localtune.analysis.reader import read_files
        from localtune.tools.commands.start_command import StartCommand, command_of
        from localtune.tools.commands.sweep import executor_for, trainable_of
        from localtune.tuner import Tuner

        target = args.target
        if target is None and not is_uri(path):
            # The file names code that is imported, so only trusted files are read.
            target = command_of(read_files(path, args.run, trust=args.trust))
        if target is None:
            _check_restorable(path)
            raise UsageError(
                f"{args.experiment!r} does not say what 'localtune run' started it with. Name it: "
                f"localtune {args.subcommand} {args.experiment} train.py:train"
            )
        name, shared = args.executor, None
        if name is None and isinstance(target, StartCommand):
            name, shared = target.executor, target.shared
        trainable = trainable_of(target, args.resources, name)
        try:
            return Tuner.restore(
                path,
                trainable,
                executor=executor_for(name, shared),
                resume_errored=resume_errored,
                restart_errored=restart_errored,
                trust=args.trust,
                run=args.run,
            )
        except (TypeError, ValueError, FileNotFoundError) as error:
            raise UsageError(str(error)) from error

    return carry_out(make_tuner, as_json=args.json)


def _check_restorable(path: str) -> None:
    from localtune.running.saved_spec import check_restorable

    if not is_uri(path):
        try:
            check_restorable(path)
        except FileNotFoundError as error:
            raise UsageError(str(error)) from error
