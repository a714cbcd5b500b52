"""Makes a Tuner from a command line, and maybe a sweep file.

::

    sweep file --+
                 +--> Sweep --> Tuner
    options   ---+    (options win)
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localtune.error import ExperimentExistsError, UsageError
from localtune.result import COMMAND_FILE
from localtune.tools.commands.settings import CHECKS, Sweep, made_by_name, put
from localtune.tools.commands.start_command import Command, command_file
from localtune.tools.commands.sweep_file import SUFFIXES, read_sweep_file
from localtune.tools.commands.target import load_trainable
from localtune.utils.remote_store import is_uri, local_path

if TYPE_CHECKING:
    from localtune.tuner import Tuner

_SMOKE_TRIALS = 2


def sweep_of(args: argparse.Namespace) -> Sweep:
    """Makes the sweep of the arguments of ``localtune run``.

    Raises:
        UsageError: for a sweep file that cannot be used.
    """
    sweep = _from_target(args.target)
    for name in CHECKS:
        value = getattr(args, name, None)
        if value is not None and name != "trainable":
            setattr(sweep, name, value)
    sweep.if_exists = getattr(args, "if_exists", None) or sweep.if_exists
    if args.storage is not None:
        sweep.storage = _place(args.storage, os.getcwd())
    sweep.stop = {
        **sweep.stop,
        **{key: bound for each in args.bounds for key, bound in each.items()},
    }
    for path, value in args.params:
        put(sweep.param_space, path, value)
    return sweep


def trainable_of(target: str | Command, resources: dict[str, float] | None) -> Any:
    """Imports the trainable of a target.

    Args:
        target: ``module:trainable``, ``file.py:trainable``, a sweep file, or the command that
            started a run.
        resources: {name: amount} of each trial; None takes those of the target.

    Raises:
        UsageError: if there is none.
    """
    if isinstance(target, Command):
        sweep = Sweep(trainable=target.target, directory=target.directory)
        sweep.resources = dict(target.resources)
    else:
        sweep = _from_target(target)
    return _trainable(sweep, sweep.resources if resources is None else resources)


def make_tuner(sweep: Sweep) -> Tuner:
    """Makes the Tuner that carries out a sweep.

    Raises:
        UsageError: for a setting, or a trainable, that cannot be used.
    """
    from localtune import (
        FailureConfig,
        RunConfig,
        TuneConfig,
        Tuner,
        create_scheduler,
        create_searcher,
    )

    trainable = _trainable(sweep, sweep.resources)
    # So that a report can say how to run it again, and it can go on.
    command = Command(sweep.trainable, sweep.directory, sweep.resources)
    try:
        return Tuner(
            trainable,
            param_space=sweep.param_space,
            tune_config=TuneConfig(
                scheduler=_made(sweep.scheduler, create_scheduler),
                search_alg=_made(sweep.search, create_searcher),
                **sweep.arguments_of(TuneConfig),
            ),
            run_config=RunConfig(
                stop=sweep.stop or None,
                failure_config=FailureConfig(**sweep.arguments_of(FailureConfig)),
                **sweep.arguments_of(RunConfig),
            ),
            _files={COMMAND_FILE: command_file(command)},
        )
    except ExperimentExistsError as error:
        raise UsageError(
            f"{error.summary} Add a run to it with --add, go on with it with --resume (start, if "
            "there is none), or choose another --name."
        ) from error
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def make_small(sweep: Sweep, storage: str) -> None:
    """Makes a sweep its smallest form: two trials of one iteration each, kept nowhere else.

    Args:
        sweep: The sweep; is changed.
        storage: Absolute path of a temporary directory.
    """
    sweep.storage, sweep.name = storage, "smoke"
    sweep.samples, sweep.max_failures = _SMOKE_TRIALS, 0
    sweep.stop = {"training_iteration": 1}
    from localtune.search.sample import without_grids

    # A grid would multiply the trials.
    sweep.param_space = without_grids(sweep.param_space)


def _from_target(target: str) -> Sweep:
    if not target.endswith(SUFFIXES):
        return Sweep(trainable=target)
    file = read_sweep_file(target)
    file.check_keys(CHECKS)
    sweep = Sweep(directory=file.directory)
    for key, value in file.values.items():
        try:
            setattr(sweep, key, CHECKS[key](value))
        except UsageError as error:
            raise file.problem(_culprit(key, value), str(error)) from None
    if not sweep.trainable:
        raise UsageError(f"{file.path} must name its trainable: trainable = 'train.py:train'.")
    if sweep.storage is not None:
        sweep.storage = _place(sweep.storage, file.directory)
    return sweep


def _culprit(key: str, value: Any) -> str:
    """Returns the key, or the key of keys, whose value does not pass its check."""
    check, path = CHECKS[key], [key]
    while isinstance(value, dict):
        wrong = next(
            (name for name, item in value.items() if not _passes(check, {name: item})), None
        )
        if wrong is None:
            break
        path.append(str(wrong))
        value = value[wrong]
    return "/".join(path)


def _passes(check: Callable[[Any], Any], value: Any) -> bool:
    try:
        check(value)
    except UsageError:
        return False
    return True


def _place(path: str, directory: str) -> str:
    return path if is_uri(path) else os.path.join(directory, local_path(path))


def _trainable(sweep: Sweep, resources: dict[str, float]) -> Any:
    trainable = load_trainable(sweep.trainable, sweep.directory)
    if not resources:
        return trainable
    from localtune import with_resources

    try:
        return with_resources(trainable, dict(resources))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _made(value: str | None, create: Any) -> Any:
    return made_by_name(value, create) if value is not None else None
