"""RunFacts: facts about a run that are known from its start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.utils.text import count, one_line


@dataclass(slots=True)
class RunFacts:
    """Facts about a run that the output shows.

    Attributes:
        experiment_path: Directory of the experiment.
        metric: Metric of the run, or None.
        mode: ``"min"`` or ``"max"``, or None.
        total_samples: Total number of trials; None if it is unknown. -1 becomes None.
        time_budget_s: Seconds after which the run ends; None for no limit.
        resources: {name: amount} that the trials share; may be empty.
        max_iterations: Number of iterations after which the scheduler ends each trial, or None.
        searcher_name: Name of the searcher; may be empty.
        scheduler_name: Name of the scheduler; may be empty.
    """

    experiment_path: str
    metric: str | None = None
    mode: str | None = None
    total_samples: int | None = None
    time_budget_s: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    max_iterations: int | None = None
    searcher_name: str = ""
    scheduler_name: str = ""

    def __post_init__(self) -> None:
        self.total_samples = known_total(self.total_samples)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return one_line(os.path.basename(self.experiment_path))

    @property
    def optimised_metric(self) -> str | None:
        """The metric, if the run has a mode, too."""
        return self.metric if self.mode is not None else None

    @property
    def slots(self) -> str:
        """The shared resources as text, ``4 CPU, 1 GPU``; "" if they are unknown."""
        return ", ".join(f"{amount:g} {name}" for name, amount in _counted(self.resources))

    @property
    def lines(self) -> list[str]:
        """Lines on the searcher, the scheduler and the shared resources, without empty ones."""
        searcher = f"Searcher: {self.searcher_name}" if self.searcher_name else ""
        scheduler = f"Scheduler: {self.scheduler_name}" if self.scheduler_name else ""
        return [line for line in (searcher, scheduler, self.slots) if line]

    def slots_in_use(self, used: Mapping[str, float]) -> str:
        """Returns the resources in use, ``3 of 4 CPU, 1 of 1 GPU in use``; "" if unknown.

        Args:
            used: {name: amount} that running trials hold.
        """
        parts = [
            f"{used.get(name, 0.0):g} of {amount:g} {name}"
            for name, amount in _counted(self.resources)
        ]
        return ", ".join(parts) + " in use" if parts else ""

    def total(self, known: int) -> int | None:
        """Returns the total number of trials; None if it is unknown.

        Args:
            known: Number of existing trials. A search may create more than it announced.
        """
        return None if self.total_samples is None else max(self.total_samples, known)

    def progress(self, ended: int, known: int) -> str:
        """Returns the progress as text, ``12/100``; ``12`` if the total is unknown.

        Args:
            ended: Number of ended trials.
            known: Number of existing trials.
        """
        total = self.total(known)
        return str(ended) if total is None else f"{ended}/{total}"

    def plan(self) -> str:
        """Returns a line on the planned trials, the resources, the searcher and the scheduler."""
        total = self.total_samples
        trials = "trials without end" if total is None else count(total, "trial")
        parts = [trials, self.slots]
        parts += [f"searcher {self.searcher_name}"] if self.searcher_name else []
        parts += [f"scheduler {self.scheduler_name}"] if self.scheduler_name else []
        return ", ".join(part for part in parts if part)


def known_total(total_samples: int | None) -> int | None:
    """Returns a total number of trials; None in place of a negative one, which is unlimited."""
    return None if total_samples is None or total_samples < 0 else total_samples


def _counted(resources: Mapping[str, float]) -> list[tuple[str, float]]:
    """Returns (name, amount) of the CPUs and GPUs; other resources are not shown."""
    return [(name, resources[name]) for name in ("CPU", "GPU") if resources.get(name)]
