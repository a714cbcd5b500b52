"""The parts of a run, made from its specification: searcher, scheduler, executor, settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.callback import Callback
from localtune.config.spec import RunSpec
from localtune.controller.background_search import BackgroundSearch
from localtune.controller.settings import RunSettings
from localtune.error import ResourceRequestError, TuneError
from localtune.execution.executor import Capacity, Executor
from localtune.registry import get_trainable_cls
from localtune.resources import ResourcePool, request_of, resource_dict_to_pg_factory
from localtune.result import MAX_PENDING_VARIABLE, REPEAT_SEED_VARIABLE
from localtune.schedulers import FIFOScheduler, TrialScheduler, create_scheduler
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import SearchAlgorithm, searcher_name
from localtune.search.search_generator import as_search_algorithm
from localtune.stopper.coerce import as_stopper
from localtune.stopper.stopper import Stopper
from localtune.trainable.function_trainable import FunctionTrainable
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable

# Trials of a space that costs nothing to sample may wait in numbers: schedulers that fill groups
# see more of them.
_LOOKAHEAD = 200


@dataclass
class RunParts:
    """What works together in one run.

    Attributes:
        searcher: Hands out the trials.
        scheduler: Decides which of them stop, pause or go on.
        stopper: The stop conditions, as they were given.
        seed: What everything drawn at random depends on.
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
    """The executor that an ``executor=`` argument means.

    Raises:
        ValueError: if it means none.
    """
    check_executor(executor)
    if isinstance(executor, Executor):
        return executor
    if executor is None:
        from localtune.execution.local_process import ProcessExecutor

        return ProcessExecutor()
    from localtune.execution.in_process import InProcessExecutor

    return InProcessExecutor()


def check_executor(executor: Any) -> None:
    """Raises ValueError if an ``executor=`` argument means none."""
    if not (executor is None or executor == "inprocess" or isinstance(executor, Executor)):
        raise ValueError(
            "executor must be None (processes), 'inprocess', or an Executor such as "
            f"ProcessExecutor(...), but got {executor!r}."
        )


def _make_searcher(spec: RunSpec) -> SearchAlgorithm:
    config = spec.tune_config
    searcher = as_search_algorithm(config.search_alg, config.max_concurrent_trials)
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
    """Metric and mode of the first that has both; else those of the first."""
    for each in each_in_turn:
        if each.metric is not None and each.mode is not None:
            return each.metric, each.mode
    return each_in_turn[0].metric, each_in_turn[0].mode


def as_scheduler(scheduler: Any) -> TrialScheduler:
    """The scheduler that a ``scheduler=`` argument means.

    Raises:
        ValueError: if it means none.
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
    """Lets a search that learns think in a thread, where time is real.

    Args:
        searcher: The search.
        executor: Of the run.

    Returns:
        The search for the controller, and a function that ends the thread.
    """
    if not searcher.learns or not executor.abilities.real_time:
        return searcher, lambda: None
    background = BackgroundSearch(searcher, executor.wake)
    return background, background.close


# -- what the controller is told ------------------------------------------------------------------


def make_settings(
    spec: RunSpec, experiment_path: str, scheduler: TrialScheduler, seed: int
) -> RunSettings:
    """What the controller is told of a run, with all that depends on the trainable.

    Args:
        spec: Of the run.
        experiment_path: Directory of the experiment.
        scheduler: Of the run.
        seed: What the seeds of the trials depend on.
    """
    trainable = get_trainable_cls(spec.trainable_name)
    own_methods = _own_methods(trainable)
    # A scheduler that clones trials changes their configs all the time. A worker whose trainable
    # has reset_config need not be started again for that.
    can_reset = "reset_config" in own_methods
    return RunSettings(
        spec,
        experiment_path,
        resources_function(spec),
        can_save="save_checkpoint" in own_methods or issubclass(trainable, FunctionTrainable),
        reuse_workers=spec.tune_config.reuse_actors or (scheduler.clones_trials and can_reset),
        lookahead=_lookahead(spec.tune_config.num_samples),
        date_text=date_str(),
        seed=seed,
        repeat_seed=_repeat_seed(),
    )


def _own_methods(trainable: type[Trainable]) -> set[str]:
    """Names that the user's classes define: those above localtune's own."""
    return {
        name
        for each in trainable.__mro__
        if not each.__module__.startswith("localtune.trainable")
        for name in vars(each)
    }


def resources_function(spec: RunSpec) -> Callable[[dict[str, Any]], PlacementGroupFactory]:
    """How the request of a trial is found: the trainable's own, else the run's, else 1 CPU."""
    trainable = get_trainable_cls(spec.trainable_name)
    of_run = resource_dict_to_pg_factory(spec.resources_per_trial)

    def resources_of(config: dict[str, Any]) -> PlacementGroupFactory:
        request = trainable.default_resource_request(config)
        if request is None:
            return of_run
        if spec.resources_per_trial is not None:
            raise TuneError(
                "Resources are asked for twice: by resources_per_trial "
                f"({spec.resources_per_trial!r}) and by the trainable itself ({request!r}). "
                "Remove one."
            )
        return resource_dict_to_pg_factory(request)

    return resources_of


def check_resources(spec: RunSpec, capacity: Capacity) -> None:
    """Refuses what each trial of a run asks for, if that can never be given.

    What depends on a trial's configuration is not known before there is one.

    Args:
        spec: Of the run.
        capacity: What there is.

    Raises:
        ResourceRequestError: if there is less than a trial asks for.
        TuneError: if resources are asked for twice.
    """
    try:
        request = resources_function(spec)(_NoConfig())
    except _NotKnownYetError:
        return
    misfit = ResourcePool(capacity.resources, capacity.gpu_ids).explain_misfit(request_of(request))
    if misfit:
        raise ResourceRequestError(f"The trials can never run. {misfit}")


class _NotKnownYetError(Exception):
    """A configuration was asked for a value before there was one."""


class _NoConfig(dict[str, Any]):
    """Stands for a configuration that does not exist yet; reading it raises."""

    def _refuse(self, *arguments: Any) -> Any:
        raise _NotKnownYetError

    __getitem__ = __contains__ = __iter__ = __len__ = __eq__ = _refuse
    get = keys = values = items = copy = pop = setdefault = _refuse


# -- the environment ------------------------------------------------------------------------------


def all_callbacks(callbacks: Sequence[Callback] | None, output: Callback) -> list[Callback]:
    """The user's callbacks, the output, and the loggers that the user did not pass.

    Args:
        callbacks: The user's; None is none.
        output: Shows the run.
    """
    from localtune.logger import CSVLoggerCallback, JsonLoggerCallback

    given = list(callbacks or ())
    loggers: list[Callback] = []
    if os.environ.get("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS") != "1":
        loggers = [
            logger_class()
            for logger_class in (CSVLoggerCallback, JsonLoggerCallback)
            if not any(isinstance(callback, logger_class) for callback in given)
        ]
    return [*given, output, *loggers]


def check_environment() -> None:
    """Raises ValueError if a variable of the environment that a run reads makes no sense."""
    _max_pending_trials()
    _repeat_seed()


def _lookahead(num_samples: int) -> int:
    """How many trials may wait to run."""
    given = _max_pending_trials()
    if given is not None:
        return given
    # A run without end is ended by its time budget: what waits then has been made in vain.
    return 1 if num_samples == -1 else _LOOKAHEAD


def _max_pending_trials() -> int | None:
    """How many trials may wait to run, if the user says so."""
    text = os.environ.get(MAX_PENDING_VARIABLE, "auto")
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"{MAX_PENDING_VARIABLE} must be 'auto' or a whole number of at least 1, but got "
            f"{text!r}: set it to one of these, or unset it."
        )
    return int(text)


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
