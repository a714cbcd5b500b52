"""The parts of a run, from its options: searcher, scheduler, executor, settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from localtune.callback import Callback
from localtune.config.failure import FailureConfig
from localtune.config.tune import check_metric_and_mode
from localtune.controller.background_search import BackgroundSearch
from localtune.controller.limits import Limits
from localtune.controller.settings import RunSettings
from localtune.error import ResourceRequestError, TuneError
from localtune.execution.executor import Capacity, Executor
from localtune.resources import ResourcePool, request_of, resource_dict_to_pg_factory
from localtune.result import MAX_PENDING_VARIABLE, REPEAT_SEED_VARIABLE
from localtune.running.experiment import Experiment
from localtune.running.options import RunOptions
from localtune.schedulers import FIFOScheduler, TrialScheduler, create_scheduler
from localtune.search.rng import is_random_source
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.search_generator import as_search_algorithm
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from collections.abc import Callable

    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable


# Trials of a space that costs nothing to sample may wait in numbers: schedulers that fill groups
# see more of them.
_LOOKAHEAD = 200


def check_options(options: RunOptions) -> None:
    """Raises ValueError for what can be known to be wrong before anything is written."""
    check_metric_and_mode(options.metric, options.mode)
    _check_seed(options.seed)
    check_max_concurrent(options.max_concurrent_trials)
    check_callbacks(options.callbacks)
    as_search_algorithm(options.search_alg, options.max_concurrent_trials)
    _as_scheduler(options.scheduler)
    _max_pending_trials()
    _repeat_seed()
    if options.executor != "inprocess":
        make_executor(options.executor)


def _check_seed(seed: Any) -> None:
    if not is_random_source(seed):
        raise ValueError(f"seed must be a whole number, or None to draw one, but got {seed!r}.")


def make_executor(executor: Executor | str | None) -> Executor:
    """The executor that an ``executor=`` argument means.

    Raises:
        ValueError: if it means none.
    """
    if executor is None:
        from localtune.execution.local_process import ProcessExecutor

        return ProcessExecutor()
    if executor == "inprocess":
        from localtune.execution.in_process import InProcessExecutor

        return InProcessExecutor()
    if isinstance(executor, Executor):
        return executor
    raise ValueError(
        "executor must be None (processes), 'inprocess', or an Executor such as "
        f"ProcessExecutor(...), but got {executor!r}."
    )


def make_searcher(options: RunOptions, experiment: Experiment) -> SearchAlgorithm:
    """The search algorithm of a run, ready for its first suggestion.

    Raises:
        ValueError: for a search space or an algorithm that cannot be used.
    """
    searcher = as_search_algorithm(options.search_alg, options.max_concurrent_trials)
    spec = experiment.public_spec
    if options.seed is not None:
        spec["seed"] = options.seed
    if not searcher.set_search_properties(options.metric, options.mode, experiment.config, **spec):
        raise ValueError(
            f"metric and mode are given twice: to TuneConfig ({options.metric!r}, "
            f"{options.mode!r}) and to {type(searcher).__name__}. Give them to one."
        )
    searcher.setup(experiment.config, experiment.num_samples)
    return searcher


def make_scheduler(
    options: RunOptions, experiment: Experiment, searcher: SearchAlgorithm, seed: int
) -> TrialScheduler:
    """The scheduler of a run.

    Raises:
        ValueError: if it is none, if metric and mode are given to it and to the run, or if it
            cannot work with the search space or the searcher.
    """
    scheduler = _as_scheduler(options.scheduler)
    spec = {**experiment.public_spec, "seed": seed}
    if not scheduler.set_search_properties(options.metric, options.mode, **spec):
        raise ValueError(
            f"metric and mode are given twice: to TuneConfig ({options.metric!r}, "
            f"{options.mode!r}) and to {type(scheduler).__name__}. Give them to one."
        )
    if scheduler.changes_resources and options.reuse_actors:
        raise ValueError(
            f"reuse_actors=True does not go with {type(scheduler).__name__}, which changes the "
            "resources of trials: a worker keeps those that it was started with."
        )
    scheduler.check_run(experiment.config, searcher)
    return scheduler


def goal_of(
    options: RunOptions, scheduler: TrialScheduler, searcher: SearchAlgorithm
) -> tuple[str | None, str | None]:
    """Metric and mode that a run optimises: as the run names them, else its scheduler or searcher.

    Args:
        options: Of the run.
        scheduler: From :func:`make_scheduler`.
        searcher: From :func:`make_searcher`.
    """
    for each in (options, scheduler, searcher):
        if each.metric is not None and each.mode is not None:
            return each.metric, each.mode
    return options.metric, options.mode


def _as_scheduler(scheduler: Any) -> TrialScheduler:
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


def check_max_concurrent(limit: int | None) -> int:
    """``max_concurrent_trials`` as a number; 0 is no limit.

    Raises:
        ValueError: if it is negative or no whole number.
    """
    if limit is None:
        return 0
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ValueError(
            "max_concurrent_trials must be at least 1, or None or 0 for no limit, but got "
            f"{limit!r}."
        )
    return limit


def make_settings(
    experiment: Experiment, options: RunOptions, scheduler: TrialScheduler, seed: int
) -> RunSettings:
    """What the controller is told of a run, with all defaults resolved."""
    # A scheduler that clones trials changes their configs all the time: who can reset_config
    # need not be started again for that.
    own_methods = _own_methods(experiment.trainable)
    can_reset = "reset_config" in own_methods
    return RunSettings(
        trainable_name=experiment.run_identifier,
        experiment_path=experiment.path,
        resources_of=resources_function(experiment),
        metric=options.metric,
        checkpoint_config=experiment.checkpoint_config,
        stopping_criterion=experiment.stopping_criterion,
        max_concurrent_trials=check_max_concurrent(options.max_concurrent_trials),
        time_budget_s=experiment.time_budget_s,
        max_failures=experiment.max_failures,
        fail_fast=bool(options.fail_fast),
        raise_first_error=options.fail_fast == "raise",
        limits=options.limits,
        can_save="save_checkpoint" in own_methods or not _is_class(experiment.trainable),
        reuse_workers=options.reuse_actors or (scheduler.clones_trials and can_reset),
        lookahead=_lookahead(experiment),
        log_to_file=experiment.log_to_file,
        export_formats=experiment.export_formats,
        restore_path=experiment.restore,
        trial_name_creator=experiment.trial_name_creator,
        trial_dirname_creator=experiment.trial_dirname_creator,
        date_text=date_str(),
        seed=seed,
        repeat_seed=_repeat_seed(),
    )


def _is_class(trainable: type[Trainable]) -> bool:
    """Whether it is a class of the user's, not a function in a class of localtune's."""
    from localtune.trainable.function_trainable import FunctionTrainable

    return not issubclass(trainable, FunctionTrainable)


def limits_of(config: FailureConfig) -> Limits:
    """What a FailureConfig says on time and on failures."""
    return Limits(
        config.iteration_timeout_s,
        config.trial_timeout_s,
        config.retry_wait_s,
        config.max_failed_trials,
    )


def _own_methods(trainable: type[Trainable]) -> set[str]:
    """Names that the user's classes define: those above localtune's own."""
    return {
        name
        for each in trainable.__mro__
        if not each.__module__.startswith("localtune.trainable")
        for name in vars(each)
    }


def in_background(
    searcher: SearchAlgorithm, executor: Executor
) -> tuple[SearchAlgorithm, Callable[[], None]]:
    """Lets a search that learns think in a thread, where time is real; and how to end that."""
    if not searcher.learns or not executor.abilities.real_time:
        return searcher, lambda: None
    background = BackgroundSearch(searcher, executor.wake)
    return background, background.close


def _lookahead(experiment: Experiment) -> int:
    """How many trials may wait to run."""
    given = _max_pending_trials()
    if given is not None:
        return given
    # A run without end is ended by its time budget: what waits then has been made in vain.
    return 1 if experiment.num_samples == -1 else _LOOKAHEAD


def _max_pending_trials() -> int | None:
    """How many trials may wait to run, if the user says so.

    Raises:
        ValueError: if the variable holds neither a number nor ``auto``.
    """
    text = os.environ.get(MAX_PENDING_VARIABLE, "auto")
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"{MAX_PENDING_VARIABLE} must be 'auto' or a whole number of at least 1, but got "
            f"{text!r}: set it to one of these, or unset it."
        )
    return int(text)


def resources_function(
    experiment: Experiment,
) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """How the request of a trial is found: the trainable's own, else the run's, else 1 CPU."""
    trainable = experiment.trainable
    of_run = resource_dict_to_pg_factory(experiment.resources_per_trial)

    def resources_of(config: dict[str, Any]) -> PlacementGroupFactory:
        request = trainable.default_resource_request(config)
        if request is None:
            return of_run
        if experiment.resources_per_trial is not None:
            raise TuneError(
                "Resources are asked for twice: by resources_per_trial "
                f"({experiment.resources_per_trial!r}) and by the trainable itself ({request!r}). "
                "Remove one."
            )
        return resource_dict_to_pg_factory(request)

    return resources_of


def check_resources(experiment: Experiment, capacity: Capacity) -> None:
    """Refuses what each trial of a run asks for, if that can never be given.

    What depends on a trial's configuration is not known before there is one.

    Raises:
        ResourceRequestError: if there is less than a trial asks for.
        TuneError: if resources are asked for twice.
    """
    try:
        request = resources_function(experiment)(_NoConfig())
    except _NotKnownYetError:
        return
    misfit = ResourcePool(capacity.resources, capacity.gpu_ids).explain_misfit(request_of(request))
    if misfit:
        raise ResourceRequestError(f"The trials can never run. {misfit}")


class _NotKnownYetError(Exception):
    """A configuration was asked for a value before there was one."""


class _NoConfig(dict[str, Any]):
    """In place of a configuration: whoever reads it has to wait for one."""

    def _refuse(self, *arguments: Any) -> Any:
        raise _NotKnownYetError

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = _refuse
    get = keys = values = items = copy = pop = setdefault = _refuse


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Returns the callbacks if they are a list of such.

    Raises:
        ValueError: if they are not.
    """
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks must be a list of Callback objects, but got {callbacks!r}.")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = " Pass an instance, not the class." if isinstance(callback, type) else ""
            raise ValueError(
                f"callbacks must be a list of Callback objects, but it has {callback!r}.{hint}"
            )
    return list(callbacks)


def all_callbacks(callbacks: Sequence[Callback], output: Callback) -> list[Callback]:
    """The user's callbacks, the output, and the loggers that the user did not pass."""
    from localtune.logger import CSVLoggerCallback, JsonLoggerCallback

    everyone = [*callbacks, output]
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") != "1":
        for logger_class in (CSVLoggerCallback, JsonLoggerCallback):
            if not any(isinstance(callback, logger_class) for callback in callbacks):
                everyone.append(logger_class())
    return everyone


def _repeat_seed() -> int | None:
    """The seed that all trials get, if the user repeats one trial."""
    text = os.environ.get(REPEAT_SEED_VARIABLE)
    if not text:
        return None
    if not text.isdecimal() or int(text) >= 2**32:
        raise ValueError(
            f"{REPEAT_SEED_VARIABLE} must be a whole number from 0 to 2**32 - 1, but got {text!r}: "
            "take it from a report, or unset it."
        )
    return int(text)
