"""The parts of a run, made from its specification: searcher, scheduler, stopper, executor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from localtune.callback import Callback
from localtune.config.protocols import CallbackLike
from localtune.config.spec import RunSpec
from localtune.error import ResourceRequestError
from localtune.execution.default import default_executor
from localtune.execution.executor import Executor
from localtune.running.derive import resources_function
from localtune.schedulers import FIFOScheduler, TrialScheduler, create_scheduler
from localtune.search.coerce import as_search_algorithm
from localtune.search.pickled_parts import Archive
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import SearchAlgorithm, searcher_name
from localtune.stopper.base import Stopper
from localtune.stopper.coerce import as_stopper


@dataclass
class RunParts:
    """The parts of one run.

    Attributes:
        searcher: Hands out the trials.
        scheduler: Decides which trials stop, pause or go on.
        stopper: The stop conditions, as they were given.
        seed: Seed of all random numbers.
        metric: The metric that the run, its scheduler or its searcher optimises; None for none.
        mode: ``"min"``, ``"max"`` or None; goes with ``metric``.
        searcher_name: Name of the searcher's class, as the user knows it.
    """

    searcher: SearchAlgorithm
    scheduler: TrialScheduler
    stopper: Stopper
    seed: int
    metric: str | None
    mode: str | None
    searcher_name: str


def build(spec: RunSpec) -> RunParts:
    """Makes the parts of a run, ready for its first trial.

    Raises:
        ValueError: for parts that do not go together.
    """
    searcher = _make_searcher(spec)
    seed = derive_seed(spec.tune_config.seed)
    scheduler = _make_scheduler(spec, searcher, seed)
    metric, mode = _goal_of(spec.tune_config, scheduler, searcher)
    stopper = as_stopper(spec.run_config.stop)
    return RunParts(searcher, scheduler, stopper, seed, metric, mode, searcher_name(searcher))


def make_executor(executor: Executor | str | None) -> Executor:
    """Returns the executor for an ``executor=`` argument.

    Raises:
        ValueError: for an unknown value.
    """
    check_executor(executor)
    if isinstance(executor, Executor):
        return executor
    if executor is None:
        return default_executor()
    from localtune.running.named_executors import create_executor

    return create_executor(executor)


def check_executor(executor: Any) -> None:
    """Checks an ``executor=`` argument.

    Raises:
        ValueError: for an unknown value.
        ExtraMissingError: for an executor whose package is not installed.
    """
    if executor is None or isinstance(executor, Executor):
        return
    from localtune.running.named_executors import check_name

    check_name(executor)


def _make_searcher(spec: RunSpec) -> SearchAlgorithm:
    config = spec.tune_config
    searcher = as_search_algorithm(config.search_alg, config.max_concurrent_trials)
    searcher.archive = Archive()
    told = spec.public
    if config.seed is not None:
        told["seed"] = config.seed
    if not searcher.set_search_properties(config.metric, config.mode, spec.param_space, **told):
        raise _given_twice(spec, searcher)
    searcher.setup(spec.param_space, config.num_samples)
    return searcher


def _make_scheduler(spec: RunSpec, searcher: SearchAlgorithm, seed: int) -> TrialScheduler:
    config = spec.tune_config
    scheduler = as_scheduler(config.scheduler)
    told = {**spec.public, "seed": seed}
    if not scheduler.set_search_properties(config.metric, config.mode, **told):
        raise _given_twice(spec, scheduler)
    if scheduler.changes_resources and config.reuse_actors:
        raise ValueError(
            f"reuse_actors=True does not go with {type(scheduler).__name__}, which changes the "
            "resources of trials: a worker keeps those that it was started with."
        )
    scheduler.check_run(spec.param_space, searcher)
    return scheduler


def _given_twice(spec: RunSpec, decider: SearchAlgorithm | TrialScheduler) -> ValueError:
    config = spec.tune_config
    return ValueError(
        f"metric and mode are given twice: to TuneConfig ({config.metric!r}, "
        f"{config.mode!r}) and to {type(decider).__name__}. Give them to one."
    )


def _goal_of(*each_in_turn: Any) -> tuple[str | None, str | None]:
    """Returns metric and mode of the first part that has both, else those of the first part."""
    for each in each_in_turn:
        if each.metric is not None and each.mode is not None:
            return each.metric, each.mode
    return each_in_turn[0].metric, each_in_turn[0].mode


def as_scheduler(scheduler: Any) -> TrialScheduler:
    """Returns the scheduler for a ``scheduler=`` argument.

    Raises:
        ValueError: for an unknown value.
    """
    if scheduler is None:
        return FIFOScheduler()
    if isinstance(scheduler, str):
        scheduler = create_scheduler(scheduler)
    if not isinstance(scheduler, TrialScheduler):
        hint = " Pass an instance, not the class." if isinstance(scheduler, type) else ""
        raise ValueError(
            f"scheduler must be None, a name, or a TrialScheduler, but got {scheduler!r}.{hint}"
        )
    return scheduler


def in_background(
    searcher: SearchAlgorithm, executor: Executor
) -> tuple[SearchAlgorithm, Callable[[], None]]:
    """Runs a search that learns in a thread, if the executor has real time.

    Args:
        searcher: The search.
        executor: The executor of the run.

    Returns:
        The search for the controller, and a function that ends the thread.
    """
    if not searcher.learns or not executor.abilities.real_time:
        return searcher, lambda: None
    from localtune.controller.background_search import BackgroundSearch

    background = BackgroundSearch(searcher, executor.wake)
    return background, background.close


def all_callbacks(callbacks: Sequence[CallbackLike] | None, output: Callback) -> list[Callback]:
    """Returns the user's callbacks, the output, and the loggers that the user did not pass.

    Args:
        callbacks: The user's callbacks, or None.
        output: The output of the run.
    """
    from localtune.logger.csv import CSVLoggerCallback
    from localtune.logger.json import JsonLoggerCallback

    # They were checked when the run was specified.
    given = list(cast("Sequence[Callback]", callbacks or ()))
    by_users: set[type[Callback]] = set()
    if given:
        from localtune.logger.old_loggers import files_of_users, with_loggers_of_today

        given = with_loggers_of_today(given)
        by_users = files_of_users(given)
    loggers: list[Callback] = []
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") != "1":
        loggers = [
            logger_class()
            for logger_class in (CSVLoggerCallback, JsonLoggerCallback)
            if logger_class not in by_users
            and not any(isinstance(callback, logger_class) for callback in given)
        ]
    return [*given, output, *loggers]


def check_resources(spec: RunSpec, executor: Executor) -> None:
    """Checks that the executor can meet the resource requests of the run's trials.

    A request that depends on a trial's configuration is checked when the trial exists.

    Args:
        spec: The specification of the run.
        executor: The executor of the run.

    Raises:
        ResourceRequestError: if the executor can never meet a request.
        TuneError: if resources are requested twice.
    """
    try:
        request = resources_function(spec)(_NoConfig())
    except _NotKnownYetError:
        return
    reason = executor.why_never(request)
    if reason:
        raise ResourceRequestError(f"The trials can never run. {reason}")


class _NotKnownYetError(Exception):
    """Raised when a function reads the configuration of a trial that does not exist yet."""


class _NoConfig(dict[str, Any]):
    """Stands for a configuration that does not exist yet; reading it raises."""

    def _refuse(self, *arguments: Any) -> Any:
        raise _NotKnownYetError

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = _refuse
    get = keys = values = items = copy = pop = setdefault = _refuse
