"""The result of a simulated run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.best import is_number


class SimulationEvent(NamedTuple):
    """Something that happened.

    Attributes:
        time_s: When, in virtual seconds since the start of the run.
        trial_id: To which trial; "" for the run.
        what: ``"created"``, ``"started"``, ``"result"``, ``"saved"``, ``"restored"``,
            ``"changed"`` (it has another config), ``"paused"``, ``"retried"``, ``"completed"``,
            ``"failed"``, or ``"warning: ..."``.
        iteration: Of a result.
        value: Of a result: that of the run's metric.
    """

    time_s: float
    trial_id: str
    what: str
    iteration: int | None = None
    value: Any = None


class Improvement(NamedTuple):
    """A result that was better than all before it.

    Attributes:
        time_s: When it came, in virtual seconds since the start of the run.
        iterations: How many results the run had given by then, this one included.
        trial_id: Whose it is.
        value: The best value from then on.
    """

    time_s: float
    iterations: int
    trial_id: str
    value: float


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """How one trial went.

    Attributes:
        trial_id: Its id; ids are the same in each simulation with the same arguments.
        config: Its last config.
        status: How it ended.
        iterations: How many results it gave.
        best_value: The best value of the metric among them; None without any that is a number.
        last_result: Its last result, nested, with what was filled in automatically.
        error: What it failed with, None if it did not.
    """

    trial_id: str
    config: dict[str, Any]
    status: Status
    iterations: int
    best_value: float | None
    last_result: dict[str, Any]
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """The trials and the events of a simulated run.

    Attributes:
        trials: All trials in the order of their creation.
        events: What happened, in order; two runs with equal events were the same run.
        improvements: When the best value became better.
        iterations: How many results all trials gave: what the run cost.
        trained_s: Virtual seconds that all steps with a result took, added up over the trials.
        elapsed_s: Virtual seconds from the start of the run to its end.
    """

    trials: list[SimulatedTrial]
    events: list[SimulationEvent]
    improvements: list[Improvement]
    iterations: int
    trained_s: float
    elapsed_s: float

    @property
    def best_value(self) -> float | None:
        """The best value of the metric in any result; None without any that is a number."""
        return self.improvements[-1].value if self.improvements else None

    @property
    def best_trial(self) -> SimulatedTrial | None:
        """The trial that gave the best value."""
        if not self.improvements:
            return None
        best_id = self.improvements[-1].trial_id
        return next(trial for trial in self.trials if trial.trial_id == best_id)

    def best_value_at(self, time_s: float) -> float | None:
        """The best value that was known after so many virtual seconds, None before the first."""
        known = [each.value for each in self.improvements if each.time_s <= time_s]
        return known[-1] if known else None

    def events_of(self, trial_id: str) -> list[SimulationEvent]:
        """Returns the events of one trial."""
        return [event for event in self.events if event.trial_id == trial_id]


def result_of(
    trials: Sequence[Trial],
    events: list[SimulationEvent],
    mode: str,
    *,
    trained_s: float,
    elapsed_s: float,
) -> SimulationResult:
    """Sums a run up.

    Args:
        trials: In the order of their creation.
        events: All of them.
        mode: ``"min"`` or ``"max"`` of the metric.
        trained_s: Virtual seconds of all steps.
        elapsed_s: Virtual seconds of the run.
    """
    results = [event for event in events if event.what == "result"]
    values: dict[str, list[float]] = {trial.trial_id: [] for trial in trials}
    counts = dict.fromkeys(values, 0)
    for event in results:
        counts[event.trial_id] += 1
        if is_number(event.value):
            values[event.trial_id].append(event.value)
    best = max if mode == "max" else min
    return SimulationResult(
        trials=[
            SimulatedTrial(
                trial.trial_id,
                trial.config,
                trial.status,
                counts[trial.trial_id],
                best(values[trial.trial_id], default=None),
                trial.last_result,
                trial.get_error(),
            )
            for trial in trials
        ],
        events=events,
        improvements=_improvements(results, mode),
        iterations=len(results),
        trained_s=trained_s,
        elapsed_s=elapsed_s,
    )


def _improvements(results: list[SimulationEvent], mode: str) -> list[Improvement]:
    sign = 1 if mode == "max" else -1
    best: float | None = None
    improvements = []
    for number, event in enumerate(results, start=1):
        if is_number(event.value) and (best is None or sign * event.value > sign * best):
            best = event.value
            improvements.append(Improvement(event.time_s, number, event.trial_id, best))
    return improvements
