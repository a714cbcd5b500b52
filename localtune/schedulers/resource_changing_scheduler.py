"""ResourceChangingScheduler: changes the resources of trials during the run.

::

    RUNNING -- result --> base scheduler
                            |-- CONTINUE --> allocation function --+-- same resources --> CONTINUE
                            |                                      +-- new resources ---> PAUSE
                            +-- another decision --> that decision
    PAUSED with new resources --> the trial asks for them --> it runs before all other trials
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from localtune.resources import PlacementGroupFactory, ResourcePool, request_of
from localtune.schedulers.base import TrialScheduler, TuneController
from localtune.schedulers.fifo import FIFOScheduler
from localtune.schedulers.resource_allocation import (
    DistributeResources as DistributeResources,
)
from localtune.schedulers.resource_allocation import (
    DistributeResourcesToTopJob as DistributeResourcesToTopJob,
)
from localtune.trial.status import Status
from localtune.utils.messages import warn

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial

__all__ = ["DistributeResources", "DistributeResourcesToTopJob", "ResourceChangingScheduler"]

_UNSET: Any = object()


class ResourceChangingScheduler(TrialScheduler):
    """Changes the resources of trials during the run; another scheduler makes all other decisions.

    A trial whose resources change is paused after a result, and goes on from its checkpoint in a
    new worker. Without a checkpoint it starts from scratch. A trial reads its current resources
    with ``tune.get_context().get_trial_resources()``.

    Args:
        base_scheduler: The scheduler for all other decisions; None is a :class:`FIFOScheduler`.
        resources_allocation_function: ``(tune_controller, trial, result, scheduler) ->
            PlacementGroupFactory | None``, called for each trial that goes on after a result. If
            it returns None, the trial keeps its resources. The default is
            :class:`DistributeResources`. With None in place of the function, no resources
            change, and a warning says so.

    Raises:
        ValueError: for a base scheduler or a function of another type.

    Example:
        >>> from localtune.resources import PlacementGroupFactory
        >>> def two_cpus_after_ten_results(tune_controller, trial, result, scheduler):
        ...     late = result["training_iteration"] >= 10
        ...     return PlacementGroupFactory([{"CPU": 2 if late else 1}])
        >>> scheduler = ResourceChangingScheduler(None, two_cpus_after_ten_results)
    """

    changes_resources = True
    _supports_buffered_results = False

    def __init__(
        self,
        base_scheduler: TrialScheduler | None = None,
        resources_allocation_function: Callable[
            [TuneController, Trial, dict[str, Any], ResourceChangingScheduler],
            PlacementGroupFactory | None,
        ]
        | None = _UNSET,
    ) -> None:
        if base_scheduler is None:
            base_scheduler = FIFOScheduler()
        if not isinstance(base_scheduler, TrialScheduler):
            raise ValueError(
                f"base_scheduler must be an instance of TrialScheduler, but got {base_scheduler!r}."
            )
        if resources_allocation_function is _UNSET:
            resources_allocation_function = DistributeResources()
        if resources_allocation_function is None:
            warn(
                "ResourceChangingScheduler without a resources_allocation_function changes "
                "nothing. Pass a function, or use the base scheduler itself.",
                stacklevel=2,
            )
        elif not callable(resources_allocation_function):
            raise ValueError(
                "resources_allocation_function must be a function (tune_controller, trial, "
                f"result, scheduler), but got {resources_allocation_function!r}."
            )
        self._base = base_scheduler
        self._allocate = resources_allocation_function
        self._mode: str | None = None
        self._base_resources: PlacementGroupFactory | None = None
        # {trial id: new resources} of the trials that do not run with them yet, oldest first
        self._changes: dict[str, PlacementGroupFactory] = {}

    # -- for allocation functions -----------------------------------------------------------------

    @property
    def base_scheduler(self) -> TrialScheduler:
        """The scheduler that makes all other decisions."""
        return self._base

    @property
    def base_resources(self) -> PlacementGroupFactory | None:
        """The resources that each trial starts with; None before the first trial."""
        return self._base_resources

    @property
    def metric(self) -> str | None:
        return self._metric or self._base.metric

    @property
    def mode(self) -> str | None:
        return self._mode or getattr(self._base, "mode", None)

    def resources_of(self, trial: Trial) -> PlacementGroupFactory:
        """Returns a trial's resources; of a changing trial, the new ones."""
        resources = self._changes.get(trial.trial_id, trial.placement_group_factory)
        assert resources is not None
        return resources

    def is_changing(self, trial: Trial) -> bool:
        """Returns whether a trial pauses in order to run again with new resources."""
        return trial.trial_id in self._changes

    # -- hooks ------------------------------------------------------------------------------------

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        if not self._base.set_search_properties(metric, mode, **spec):
            return False
        self._metric = metric
        self._mode = mode
        return True

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        if isinstance(self._allocate, DistributeResources):
            self._allocate.check_metric(self.metric, self.mode)
        self._base.check_run(param_space, search_alg)

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        resources = trial.placement_group_factory
        if self._base_resources is None:
            self._base_resources = resources
        # A trial that has run before may have new resources already.
        elif trial.start_time is None and resources != self._base_resources:
            raise RuntimeError(
                "ResourceChangingScheduler needs trials that start with the same resources, but "
                f"{trial} asks for {resources}, and earlier trials for {self._base_resources}. "
                "Give the same resources to all trials with tune.with_resources."
            )
        self._base.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self._forget(trial)
        self._base.on_trial_error(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        decision = self._base.on_trial_result(tune_controller, trial, result)
        if decision != self.CONTINUE or self._allocate is None:
            return decision
        resources = self._allocate(tune_controller, trial, result, self)
        if resources is None or resources == trial.placement_group_factory:
            return decision
        self._check(tune_controller, trial, resources)
        self._changes[trial.trial_id] = resources
        return self.PAUSE

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._forget(trial)
        self._base.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._forget(trial)
        self._base.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        return self._first_changed(tune_controller) or self._base.choose_trial_to_run(
            tune_controller
        )

    def debug_string(self) -> str:
        return f"ResourceChangingScheduler over {self._base.debug_string()}"

    def get_state(self) -> dict[str, Any]:
        return {
            "base_scheduler": self._base.get_state(),
            "base_resources": self._base_resources,
            "changes": dict(self._changes),
            "metric": self._metric,
            "mode": self._mode,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._base.set_state(state["base_scheduler"])
        self._base_resources = state["base_resources"]
        self._changes = dict(state["changes"])
        self._metric = state["metric"]
        self._mode = state["mode"]

    def _first_changed(self, controller: TuneController) -> Trial | None:
        """Returns the first paused trial with new resources, and sets these on it."""
        if not self._changes:
            return None
        for trial in controller.get_live_trials():
            resources = self._changes.get(trial.trial_id)
            if resources is None:
                continue
            if trial.status is not Status.RUNNING:
                if trial.placement_group_factory != resources:
                    trial.update_resources(resources)
                return trial
            if trial.placement_group_factory == resources:
                self._forget(trial)
        return None

    def _forget(self, trial: Trial) -> None:
        self._changes.pop(trial.trial_id, None)

    def _check(
        self, controller: TuneController, trial: Trial, resources: PlacementGroupFactory | Any
    ) -> None:
        if not isinstance(resources, PlacementGroupFactory):
            raise ValueError(
                "resources_allocation_function must return a PlacementGroupFactory, or None, but "
                f"returned {resources!r}."
            )
        misfit = ResourcePool(controller.total_resources).explain_misfit(request_of(resources))
        if misfit:
            raise ValueError(
                "resources_allocation_function gave more resources than this machine has to "
                f"{trial}. {misfit}"
            )
