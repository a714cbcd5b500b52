"""Allocation functions for ResourceChangingScheduler.

::

    machine - reserve_resources - base resources of each live trial = spare resources
    spare resources / increase_by = units, shared among the trials
    resources of a trial = base resources + its units
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from localtune.config.checks import check_metric_and_mode
from localtune.resources import PlacementGroupFactory
from localtune.trial.status import Status
from localtune.utils.dicts import unflattened_lookup

if TYPE_CHECKING:
    from localtune.schedulers.base import TuneController
    from localtune.trial.trial import Trial

# Sums of fractions have rounding errors: 0.1 + 0.2 is above 0.3.
_TOLERANCE = 1e-6


class TrialResources(Protocol):
    """The part of a ResourceChangingScheduler that allocation functions use."""

    @property
    def base_resources(self) -> PlacementGroupFactory | None:
        """The resources that each trial starts with; None before the first trial."""

    @property
    def metric(self) -> str | None:
        """Metric of the run or of the base scheduler."""

    @property
    def mode(self) -> str | None:
        """``"min"``, ``"max"`` or None."""

    def resources_of(self, trial: Trial) -> PlacementGroupFactory:
        """Returns a trial's resources; of a changing trial, the new ones."""

    def is_changing(self, trial: Trial) -> bool:
        """Returns whether a trial pauses in order to run again with new resources."""


class DistributeResources:
    """Shares the machine evenly among the trials that have not ended.

    A trial never gets less than it started with. It grows by whole units from the resources that
    are free at that moment, and shrinks when other trials need their share. Units that cannot be
    shared evenly go to the trials that were created first.

    Args:
        add_bundles: Whether each unit becomes a bundle; otherwise units enlarge the first bundle.
        increase_by: One unit, ``{resource: amount}``. None is the last bundle of the trial if
            ``add_bundles``, else one GPU for trials that have one, else one CPU.
        increase_by_times: Largest number of units per trial; -1 for no limit.
        reserve_resources: ``{resource: amount}`` of the machine that trials do not get.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> from localtune.schedulers import ASHAScheduler, ResourceChangingScheduler
        >>> scheduler = ResourceChangingScheduler(
        ...     ASHAScheduler(), DistributeResources(increase_by={"CPU": 2})
        ... )
    """

    def __init__(
        self,
        add_bundles: bool = False,
        increase_by: Mapping[str, float] | None = None,
        increase_by_times: int = -1,
        reserve_resources: Mapping[str, float] | None = None,
    ) -> None:
        if increase_by is not None:
            _check_amounts("increase_by", increase_by)
            if not any(increase_by.values()):
                raise ValueError(
                    f"increase_by must name an amount above 0, but got {dict(increase_by)!r}."
                )
        _check_amounts("reserve_resources", reserve_resources or {})
        if not isinstance(increase_by_times, int) or (
            increase_by_times < 1 and increase_by_times != -1
        ):
            raise ValueError(
                "increase_by_times must be -1 (no limit) or at least 1, but got "
                f"{increase_by_times!r}."
            )
        self._add_bundles = add_bundles
        self._increase_by = increase_by
        self._limit = math.inf if increase_by_times == -1 else increase_by_times
        self._reserve = dict(reserve_resources or {})

    def __call__(
        self,
        tune_controller: TuneController,
        trial: Trial,
        result: dict[str, Any],
        scheduler: TrialResources,
    ) -> PlacementGroupFactory | None:
        """Returns the resources that a trial should have; None for no change.

        Args:
            tune_controller: The run.
            trial: A running trial.
            result: Its latest flat result.
            scheduler: The calling :class:`ResourceChangingScheduler`.
        """
        base = scheduler.base_resources
        if base is None:
            return None
        unit = self._unit_of(base)
        now = self._units_of(scheduler.resources_of(trial), base, unit)
        # A trial grows only by free units, even if its share is larger.
        free = self._units_in(self._free(tune_controller, scheduler), unit)
        target = self._target(tune_controller, trial, result, scheduler, unit)
        units = min(target, now + max(free, 0), self._limit)
        return self._with_units(base, unit, int(units))

    def check_metric(self, metric: str | None, mode: str | None) -> None:
        """Checks before the run that the function has the metric and mode that it needs.

        Args:
            metric: Metric of the run.
            mode: Mode of the run.

        Raises:
            ValueError: if the metric or the mode is missing.
        """

    def _target(
        self,
        controller: TuneController,
        trial: Trial,
        result: dict[str, Any],
        scheduler: TrialResources,
        unit: Mapping[str, float],
    ) -> float:
        """Returns the number of units that a trial should have, now or later."""
        base = scheduler.base_resources
        assert base is not None
        alive = list(controller.get_live_trials())
        spare = self._shareable(controller)
        _subtract(spare, base.required_resources, len(alive))
        whole, rest = divmod(max(self._units_in(spare, unit), 0), len(alive))
        return whole + (alive.index(trial) < rest)

    def _shareable(self, controller: TuneController) -> dict[str, float]:
        total = dict(controller.total_resources)
        _subtract(total, self._reserve)
        return total

    def _free(self, controller: TuneController, scheduler: TrialResources) -> dict[str, float]:
        """Returns the resources beyond those of running and changing trials; may be negative."""
        free = self._shareable(controller)
        for trial in controller.get_live_trials():
            if trial.status is Status.RUNNING or scheduler.is_changing(trial):
                _subtract(free, scheduler.resources_of(trial).required_resources)
        return free

    def _unit_of(self, base: PlacementGroupFactory) -> Mapping[str, float]:
        if self._increase_by is not None:
            return self._increase_by
        if self._add_bundles:
            return base.bundles[-1]
        return {"GPU" if base.bundles[0].get("GPU") else "CPU": 1.0}

    @staticmethod
    def _units_in(amounts: Mapping[str, float], unit: Mapping[str, float]) -> int:
        """Returns the number of whole units in some amounts; negative for negative amounts."""
        return min(
            math.floor(amounts.get(name, 0.0) / amount + _TOLERANCE)
            for name, amount in unit.items()
            if amount
        )

    def _units_of(
        self,
        resources: PlacementGroupFactory,
        base: PlacementGroupFactory,
        unit: Mapping[str, float],
    ) -> int:
        """Returns the lowest number of units that covers a trial's resources beyond the base."""
        more = resources.required_resources
        _subtract(more, base.required_resources)
        return max(
            math.ceil(more.get(name, 0.0) / amount - _TOLERANCE)
            for name, amount in unit.items()
            if amount
        )

    def _with_units(
        self, base: PlacementGroupFactory, unit: Mapping[str, float], units: int
    ) -> PlacementGroupFactory:
        if units <= 0:
            return base
        bundles = base.bundles
        if self._add_bundles:
            bundles.extend(dict(unit) for _ in range(units))
        else:
            first = bundles[0]
            for name, amount in unit.items():
                first[name] = first.get(name, 0.0) + amount * units
            if first.get("GPU", 0.0) > 1:
                # A bundle holds a fraction of one GPU, or whole GPUs.
                first["GPU"] = float(math.floor(first["GPU"] + _TOLERANCE))
        if base.head_bundle_is_empty:
            bundles.insert(0, {})
        return PlacementGroupFactory(bundles, base.strategy)


class DistributeResourcesToTopJob(DistributeResources):
    """Gives all free resources to the best trial; when it has its limit, to the next best.

    A trial keeps its resources when another trial becomes better. It gives them back when a
    waiting trial cannot start without them.

    Args:
        add_bundles: As for :class:`DistributeResources`.
        increase_by: As for :class:`DistributeResources`.
        increase_by_times: Largest number of units per trial; -1 for no limit.
        reserve_resources: As for :class:`DistributeResources`.
        metric: Metric that trials are compared by; None takes the metric of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.

    Raises:
        ValueError: for a value out of its range.
    """

    def __init__(
        self,
        add_bundles: bool = False,
        increase_by: Mapping[str, float] | None = None,
        increase_by_times: int = -1,
        reserve_resources: Mapping[str, float] | None = None,
        metric: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(add_bundles, increase_by, increase_by_times, reserve_resources)
        check_metric_and_mode(metric, mode)
        self._metric = metric
        self._mode = mode

    def check_metric(self, metric: str | None, mode: str | None) -> None:
        if not (self._metric or metric) or not (self._mode or mode):
            raise ValueError(
                f"{type(self).__name__} compares trials and needs a metric and a mode. Give them "
                "to the run, as in TuneConfig(metric='loss', mode='min'), or to "
                f"{type(self).__name__} itself."
            )

    def _target(
        self,
        controller: TuneController,
        trial: Trial,
        result: dict[str, Any],
        scheduler: TrialResources,
        unit: Mapping[str, float],
    ) -> float:
        base = scheduler.base_resources
        assert base is not None
        now = self._units_of(scheduler.resources_of(trial), base, unit)
        free = self._free(controller, scheduler)
        waiting = sum(
            each.status in (Status.PENDING, Status.PAUSED) and not scheduler.is_changing(each)
            for each in controller.get_live_trials()
        )
        _subtract(free, base.required_resources, waiting)
        spare = self._units_in(free, unit)
        if spare < 0:
            return max(now + spare, 0)
        rivals = [
            _score(each.last_result, *self._metric_and_mode(scheduler))
            for each in controller.get_live_trials()
            if each is not trial
            and each.status is Status.RUNNING
            and self._units_of(scheduler.resources_of(each), base, unit) < self._limit
        ]
        score = _score(result, *self._metric_and_mode(scheduler))
        is_best = score > -math.inf and score >= max(rivals, default=score)
        return now + spare if is_best else now

    def _metric_and_mode(self, scheduler: TrialResources) -> tuple[str, str]:
        metric, mode = self._metric or scheduler.metric, self._mode or scheduler.mode
        self.check_metric(metric, mode)
        assert metric is not None and mode is not None
        return metric, mode


def _score(result: Mapping[str, Any], metric: str, mode: str) -> float:
    """Returns a result's metric as a score, higher is better; minus infinity for NaN or none."""
    value = unflattened_lookup(metric, result, default=None)
    if value is None or math.isnan(value):
        return -math.inf
    return float(-value if mode == "min" else value)


def _subtract(amounts: dict[str, float], less: Mapping[str, float], times: int = 1) -> None:
    for name, amount in less.items():
        amounts[name] = amounts.get(name, 0.0) - amount * times


def _check_amounts(argument: str, amounts: Mapping[str, float]) -> None:
    for name, amount in amounts.items():
        if not isinstance(amount, (int, float)) or not 0 <= amount < math.inf:
            raise ValueError(
                f"{argument}[{name!r}] must be a number of at least 0, but got {amount!r}."
            )
