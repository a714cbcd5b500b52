"""What a search algorithm hands out: one trial to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One trial to run.

    Attributes:
        trial_id: Unique within the experiment.
        config: Resolved configuration; belongs to the trial alone.
        evaluated_params: {flat name: value} of what was drawn or taken from a grid.
        experiment_tag: Number of the trial and its varying parameters, as text.
    """

    trial_id: str
    config: dict[str, Any]
    evaluated_params: dict[str, Any]
    experiment_tag: str
