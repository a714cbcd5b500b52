"""Suggestion: one trial that a search algorithm suggests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One trial to run.

    Attributes:
        trial_id: Id that is unique within the experiment.
        config: Resolved configuration, which no other trial shares.
        evaluated_params: {flat name: value} of the values that were drawn or taken from a grid.
        experiment_tag: Number of the trial and its varying parameters, as text.
    """

    trial_id: str
    config: dict[str, Any]
    evaluated_params: dict[str, Any]
    experiment_tag: str
