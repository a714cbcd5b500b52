"""JobList: hands out the jobs of a sweep as trials, one after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.suggestion import Suggestion
from localtune.search.variant_generator import format_vars


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        trial_id: Id of the trial that runs it.
        number: Its number in the whole sweep, ``hydra.job.num``.
        overrides: What the sweeper has chosen for it, as texts such as ``lr=0.1``.
        params: The same as {name: value}, without the overrides of Hydra's own settings.
    """

    trial_id: str
    number: int
    overrides: tuple[str, ...]
    params: Mapping[str, Any]


def jobs_of(job_overrides: Sequence[Sequence[str]], first_number: int) -> list[Job]:
    """Returns the jobs of one batch, with new ids.

    Args:
        job_overrides: The overrides of each job.
        first_number: Number of the first job.
    """
    prefix = os.urandom(3).hex()[:5]
    return [
        Job(f"{prefix}_{number:05d}", number, tuple(overrides), params_of(overrides))
        for number, overrides in enumerate(job_overrides, first_number)
    ]


def params_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Returns overrides as {name: value}, without those of Hydra's own settings.

    Args:
        overrides: Texts in Hydra's grammar, such as ``db=mysql``, ``+model.width=3`` or ``~seed``.
    """
    params = {}
    for each in OverridesParser.create().parse_overrides(list(overrides)):
        name = each.key_or_group if each.package is None else f"{each.key_or_group}@{each.package}"
        if not each.is_hydra_override():
            params[f"~{name}" if each.is_delete() else name] = each.value()
    return params


class JobList(SearchAlgorithm):
    """Hands out jobs in their order. The search space of the run stays empty.

    A run that goes on with an earlier one has the trials of that one, and hands out its own jobs.

    Args:
        jobs: The jobs.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)
        self._next = 0
        self._earlier = 0

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        self._next = self._earlier = 0

    @property
    def total_samples(self) -> int:
        return self._earlier + len(self._jobs)

    def next_suggestion(self) -> Suggestion | None:
        if self.is_finished():
            return None
        job = self._jobs[self._next]
        self._next += 1
        label = format_vars({(name,): value for name, value in job.params.items()})
        tag = f"{job.number}_{label}" if label else str(job.number)
        return Suggestion(job.trial_id, dict(job.params), dict(job.params), tag)

    def is_finished(self) -> bool:
        return self._next >= len(self._jobs)

    def get_state(self) -> dict[str, Any]:
        return {"count": self._earlier + self._next}

    def set_state(self, state: dict[str, Any]) -> None:
        self._earlier = state["count"]
