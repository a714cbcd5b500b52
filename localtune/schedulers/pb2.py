"""PB2: population based training with configurations from a model of their gains."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError, TuneError
from localtune.old_names.arguments import old_arguments_of_class
from localtune.schedulers.explore import copy_containers, fill_in, value_at
from localtune.schedulers.pb2_model import IntervalStart, Observation, suggest
from localtune.schedulers.pbt import PopulationBasedTraining
from localtune.schedulers.population import Member
from localtune.search.containers import Path, path_text
from localtune.search.domains import Float

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["PB2"]

# Old gains say little about the current stage of training.
_KEPT_OBSERVATIONS = 1000


@old_arguments_of_class("TrialScheduler")
class PB2(PopulationBasedTraining):
    """Population based bandits: population based training for small populations.

    It works as :class:`PopulationBasedTraining` does, except for the new configuration of a trial
    that goes on from another trial's checkpoint. A Gaussian process is fitted to the gains of
    all configurations so far, and the configuration with the highest promised gain is taken. See
    Parker-Holder et al. 2020, "Provably Efficient Online Hyperparameter Optimization with
    Population-Based Bandits" (arXiv:2002.02518), algorithm 1.

    Needs the extra ``pb2``.

    Args:
        time_attr: Key of the results that measures a trial's time: a number that grows.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        perturbation_interval: Time between two decisions on a trial, in units of ``time_attr``;
            above 0.
        hyperparam_bounds: {key: [lowest, highest value]} of the numbers that may change, nested
            like the configuration. Keys that are not in the search space are drawn uniformly.
        quantile_fraction: Share of the trials in the upper and in the lower quantile; 0 to 0.5.
        log_config: Whether to write each step into files of the experiment's directory.
        require_attrs: Whether a result without the metric or ``time_attr`` is an error.
        synch: Whether to decide on all trials at once, when the last one has reached the time.
        custom_explore_fn: ``config -> config``, called with each new configuration.

    Raises:
        ExtraMissingError: if scikit-learn is not installed.
        TuneError: if there are no bounds.
        ValueError: for malformed bounds, or a number out of its range.
    """

    _mutations_name = "hyperparam_bounds"
    _learnt = (*PopulationBasedTraining._learnt, "_observations", "_open_intervals")

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        hyperparam_bounds: dict[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        if not hyperparam_bounds:
            raise TuneError(
                "PB2 needs parameters that may change. Give hyperparam_bounds, such as "
                "{'lr': [0.0001, 0.1]}."
            )
        bounds = dict(_flat_bounds(hyperparam_bounds, ()))
        import_pb2_dependencies()
        super().__init__(
            time_attr,
            metric,
            mode,
            perturbation_interval,
            hyperparam_mutations=_mutations_of(hyperparam_bounds, ()),
            quantile_fraction=quantile_fraction,
            resample_probability=0.0,
            custom_explore_fn=custom_explore_fn,
            log_config=log_config,
            require_attrs=require_attrs,
            synch=synch,
        )
        self._bounds = bounds
        self._observations: list[Observation] = []
        # {trial id: start of its current interval}, whose gain is not known yet.
        self._open_intervals: dict[str, IntervalStart] = {}

    def _observe(self, trial: Trial, member: Member, time: float, score: float | None) -> None:
        values = tuple(float(value_at(trial.config, path)) for path in self._bounds)
        self._open_intervals.pop(trial.trial_id, None)
        if score is None or not math.isfinite(score):
            return
        self._open_intervals[trial.trial_id] = IntervalStart(time, score, values)
        elapsed = time - member.time
        if member.score is not None and math.isfinite(member.score) and elapsed > 0:
            gain = (score - member.score) / elapsed
            before = IntervalStart(member.time, member.score, values)
            self._observations.append(Observation(before, gain))
            del self._observations[:-_KEPT_OBSERVATIONS]

    def _perturb(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        full, _ = fill_in(donor.config, self._mutations, self._rng)
        config: dict[str, Any] = copy_containers(full)
        theirs = self._members[donor.trial_id]
        assert theirs.score is not None
        score = min(max(theirs.score, -_LARGEST), _LARGEST)
        self._open_intervals = {
            each: start
            for each, start in self._open_intervals.items()
            if each in self._members and each != trial.trial_id
        }
        values = suggest(
            self._observations,
            list(self._open_intervals.values()),
            theirs.time,
            score,
            list(self._bounds.values()),
            self._rng,
        )
        self._open_intervals[trial.trial_id] = IntervalStart(theirs.time, score, values)
        for (path, (low, high)), value in zip(self._bounds.items(), values, strict=True):
            *way, last = path
            group = value_at(config, way)
            group[last] = _rounded_within(group[last], value, low, high)
        return config


# Larger scores are limited to this, so that the model computes finite numbers.
_LARGEST = 1e150


def import_pb2_dependencies() -> None:
    """Checks that the library of the model is installed, without importing it.

    Raises:
        ExtraMissingError: if scikit-learn is missing.
    """
    from importlib.util import find_spec

    # The import takes about a second, and is left to the first fit.
    if find_spec("sklearn") is None:
        raise ExtraMissingError("scikit-learn", "pb2", "PB2")


def _flat_bounds(bounds: Any, path: Path) -> Iterator[tuple[Path, tuple[float, float]]]:
    """Yields (path, (lowest, highest value)) of each parameter that may change."""
    if isinstance(bounds, dict) and bounds:
        for key, inner in bounds.items():
            yield from _flat_bounds(inner, (*path, key))
    else:
        yield path, _bounds_of(path, bounds)


def _mutations_of(bounds: Any, path: Path) -> Any:
    """Returns the bounds as uniform domains, nested in the same way."""
    if isinstance(bounds, dict):
        return {key: _mutations_of(inner, (*path, key)) for key, inner in bounds.items()}
    return Float(*_bounds_of(path, bounds)).uniform()


def _bounds_of(path: Path, bounds: Any) -> tuple[float, float]:
    if (
        isinstance(bounds, (list, tuple))
        and len(bounds) == 2
        and all(isinstance(each, numbers.Real) and math.isfinite(each) for each in bounds)
        and bounds[0] <= bounds[1]
    ):
        return float(bounds[0]), float(bounds[1])
    raise ValueError(
        f"hyperparam_bounds[{path_text(path)!r}] must be [lowest, highest value], two finite "
        f"numbers, or a dict of such, but got {bounds!r}."
    )


def _rounded_within(old: Any, value: float, low: float, high: float) -> Any:
    """Returns the value; rounded within the bounds if the parameter's old value is an integer."""
    if isinstance(old, numbers.Integral):
        return min(max(round(value), math.ceil(low)), math.floor(high))
    return value
