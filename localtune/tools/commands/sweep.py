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
from localtune.running.named_executors import is_cluster
from localtune.tools.commands.expressions import named_call
from localtune.tools.commands.program import make_command
from localtune.tools.commands.settings import CHECKS, Sweep, made_by_name, put
from localtune.tools.commands.start_command import StartCommand, command_file
from localtune.tools.commands.sweep_file import SUFFIXES, read_sweep_file
from localtune.tools.commands.target import load_trainable
from localtune.utils.remote_store import is_uri, local_path

if TYPE_CHECKING:
    from localtune.tuner import Tuner

_SMOKE_TRIALS = 2
_ONE = "A trial is a trainable of Python or, with a command, a run of a program: leave out one."


def sweep_of(args: argparse.Namespace) -> Sweep:
    """Makes the sweep of the arguments of ``localtune run``.

    Raises:
        UsageError: for a sweep file that cannot be used, or for no trainable or two.
    """
    sweep = _from_target(args.target) if args.target is not None else Sweep()
    for name in CHECKS:
        value = getattr(args, name, None)
        if value is not None and name != "trainable":
            sweep.put(name, value)
    if args.command is not None:
        sweep.directory = os.getcwd()
    if args.cwd is not None:
        sweep.program["cwd"] = os.path.abspath(os.path.expanduser(args.cwd))
    _check_trainable(sweep, args.target)
    sweep.if_exists = getattr(args, "if_exists", None) or sweep.if_exists
    if args.storage is not None:
        sweep.storage = _place(args.storage, os.getcwd())
    if isinstance(getattr(args, "shared", None), str):
        sweep.shared = _place(args.shared, os.getcwd())
    sweep.stop = {
        **sweep.stop,
        **{key: bound for each in args.bounds for key, bound in each.items()},
    }
    for path, value in args.params:
        put(sweep.param_space, path, value)
    return sweep


def trainable_of(
    target: str | StartCommand, resources: dict[str, float] | None, executor: str | None
) -> Any:
    """Imports the trainable of a target.

    Args:
        target: ``module:trainable``, ``file.py:trainable``, a sweep file, or the command that
            started a run.
        resources: {name: amount} of each trial; None takes those of the target.
        executor: Name of the executor, maybe with arguments.

    Raises:
        UsageError: if there is none.
    """
    if isinstance(target, StartCommand):
        sweep = Sweep(target.target, dict(target.program), target.directory)
        sweep.resources = dict(target.resources)
    else:
        sweep = _from_target(target)
        _check_trainable(sweep, target)
    sweep.executor = executor
    return trainable_in(sweep, sweep.resources if resources is None else resources)


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

    if sweep.metric is not None and sweep.mode is None:
        raise UsageError(
            f"--metric {sweep.metric} needs a mode: add --mode min or --mode max. (In a sweep file "
            "that is the key mode.)"
        )
    trainable = trainable_in(sweep, sweep.resources)
    # So that a report can say how to run it again, and it can go on.
    command = StartCommand(
        *(sweep.trainable, sweep.directory, sweep.resources, sweep.program),
        *(sweep.shared, sweep.executor),
    )
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
            executor=executor_for(sweep.executor, sweep.shared),
            _files={COMMAND_FILE: command_file(command)},
        )
    except ExperimentExistsError as error:
        raise UsageError(
            f"{error.summary} Add a run to it with --add, go on with it with --resume (start, if "
            "there is none), or choose another --name."
        ) from error
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def executor_for(name: str | None, shared: bool | str | None) -> Any:
    """Returns the executor of a sweep; None if it says nothing about it.

    Args:
        name: Its name, maybe with arguments.
        shared: See :class:`~localtune.ProcessExecutor`.

    Raises:
        LedgerError: if the ledger cannot be used.
        UsageError: for an executor that shares no machine, or an unknown one.
    """
    if name is None and shared is None:
        return None
    from localtune.running.named_executors import create_executor

    if shared is None:
        return made_by_name(name or "processes", create_executor)
    if name not in (None, "processes"):
        raise UsageError(
            f"--shared and --ledger are about processes of this machine, but --executor is {name}: "
            "leave out one. (In a sweep file they are the keys shared and executor.)"
        )
    return create_executor("processes", shared=shared)


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
            sweep.put(key, CHECKS[key](value))
        except UsageError as error:
            raise file.problem(_culprit(key, value), str(error)) from None
    if sweep.trainable and sweep.program:
        raise file.problem(next(iter(sweep.program)), f"the file has a trainable, too. {_ONE}")
    if "command" in sweep.program:
        try:
            make_command(sweep.program, sweep.directory)
        except UsageError as error:
            raise file.problem("command", str(error)) from None
    if sweep.storage is not None:
        sweep.storage = _place(sweep.storage, file.directory)
    if isinstance(sweep.shared, str):
        sweep.shared = _place(sweep.shared, file.directory)
    return sweep


def _check_trainable(sweep: Sweep, target: str | None) -> None:
    """Checks that there is one trainable: a target, or a program."""
    given = next(iter(sweep.program), None)
    if sweep.trainable and given is not None:
        option = "--" + given.replace("_", "-")
        raise UsageError(f"{option} is given, but {target!r} is a trainable already. {_ONE}")
    if given is not None and "command" not in sweep.program:
        raise UsageError(f"--{given.replace('_', '-')} is about a program: add --command.")
    if not sweep.trainable and given is None:
        if target is not None:
            raise UsageError(
                f"{target} must name its trainable, trainable = 'train.py:train', or the program "
                "that is run, command = 'python train.py --lr {lr}'."
            )
        raise UsageError(
            "there is no target. Name a trainable, such as train.py:train, a sweep file, or a "
            "program: --command 'python train.py --lr {lr}'."
        )


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


def trainable_in(sweep: Sweep, resources: dict[str, float]) -> Any:
    """Imports the trainable of a sweep, or makes its program one.

    Args:
        sweep: The sweep.
        resources: {name: amount} of each trial.

    Raises:
        UsageError: if there is none.
    """
    if sweep.program:
        trainable = make_command(sweep.program, sweep.directory)
    else:
        travels = sweep.executor is not None and is_cluster(named_call(sweep.executor)[0])
        trainable = load_trainable(sweep.trainable, sweep.directory, travels=travels)
    if not resources:
        return trainable
    from localtune import with_resources

    try:
        return with_resources(trainable, dict(resources))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _made(value: str | None, create: Any) -> Any:
    return made_by_name(value, create) if value is not None else None
