"""What is known about a run from its start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from localtune.utils.text import count, one_line


@dataclass(slots=True)
class RunFacts:
    """What the output tells about a run as a whole.

    Attributes:
        experiment_path: Directory of the experiment.
        metric: Metric of the run, or None.
        mode: ``"min"`` or ``"max"``, or None.
        total_samples: How many trials there will be; None if not known.
        time_budget_s: Seconds after which the run ends; None is no limit.
        resources: {name: amount} that the trials share; may be empty.
        max_iterations: After how many the scheduler ends a trial; None if it does not.
        searcher_name: Where configurations come from; may be empty.
        scheduler_name: What stops trials early; may be empty.
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

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return one_line(os.path.basename(self.experiment_path))

    @property
    def optimised_metric(self) -> str | None:
        """The metric, if it is known which of its values are good."""
        return self.metric if self.mode is not None else None

    @property
    def slots(self) -> str:
        """What there is to share, as text: ``4 CPU, 1 GPU``; "" if that is not known."""
        return ", ".join(f"{amount:g} {name}" for name, amount in _counted(self.resources))

    def slots_in_use(self, used: Mapping[str, float]) -> str:
        """``3 of 4 CPU, 1 of 1 GPU in use``; "" if it is not known how much there is.

        Args:
            used: {name: amount} that running trials hold.
        """
        parts = [
            f"{used.get(name, 0.0):g} of {amount:g} {name}"
            for name, amount in _counted(self.resources)
        ]
        return ", ".join(parts) + " in use" if parts else ""

    def total(self, known: int) -> int | None:
        """How many trials there will be, None if that is open.

        Args:
            known: How many there are; a search can make more than was said.
        """
        return None if self.total_samples is None else max(self.total_samples, known)

    def progress(self, ended: int, known: int) -> str:
        """``12/100``, or ``12`` if the end is open."""
        total = self.total(known)
        return str(ended) if total is None else f"{ended}/{total}"

    def plan(self) -> str:
        """What is going to happen, on one line."""
        trials = "trials without end" if self.total_samples is None else ""
        if self.total_samples is not None:
            trials = count(self.total_samples, "trial")
        parts = [trials, self.slots]
        parts += [f"searcher {self.searcher_name}"] if self.searcher_name else []
        parts += [f"scheduler {self.scheduler_name}"] if self.scheduler_name else []
        return ", ".join(part for part in parts if part)


def _counted(resources: Mapping[str, float]) -> list[tuple[str, float]]:
    """The devices, of which there are a few; memory and other names tell a reader little."""
    return [(name, resources[name]) for name in ("CPU", "GPU") if resources.get(name)]
