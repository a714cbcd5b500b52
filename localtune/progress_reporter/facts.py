"""What is known about a run from its start."""

from __future__ import annotations

import os
from dataclasses import dataclass

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
        slots: How many trials run at once and why, as text; may be empty.
        searcher_name: Where configurations come from; may be empty.
        scheduler_name: What stops trials early; may be empty.
    """

    experiment_path: str
    metric: str | None = None
    mode: str | None = None
    total_samples: int | None = None
    time_budget_s: float | None = None
    slots: str = ""
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
