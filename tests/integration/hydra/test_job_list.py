"""Overrides in Hydra's grammar as parameters of trials, and the order of jobs."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.integration.hydra.job_list import JobList, jobs_of, params_of


@pytest.mark.parametrize(
    ("override", "params"),
    [
        ("lr=0.1", {"lr": 0.1}),
        ("model.width=3", {"model.width": 3}),
        ("+new='two words'", {"new": "two words"}),
        ("++new=null", {"new": None}),
        ("~old", {"~old": None}),
        ("db=mysql", {"db": "mysql"}),
        ("db@source=mysql", {"db@source": "mysql"}),
        ("layers=[4,8]", {"layers": [4, 8]}),
        ("hydra.job.chdir=true", {}),
        ("hydra/job_logging=none", {}),
    ],
)
def test_an_override_is_a_parameter(override: str, params: dict[str, Any]) -> None:
    assert params_of([override]) == params


def test_jobs_are_handed_out_in_their_order_and_counted_over_batches() -> None:
    first = JobList(jobs_of([["lr=0.1"], ["lr=0.2"]], 0))
    first.setup({}, 1)
    suggestions = [first.next_suggestion(), first.next_suggestion()]
    assert first.is_finished()
    assert first.next_suggestion() is None

    assert [each.config for each in suggestions if each] == [{"lr": 0.1}, {"lr": 0.2}]
    assert [each.experiment_tag for each in suggestions if each] == ["0_lr=0.1000", "1_lr=0.2000"]
    second = JobList(jobs_of([[]], 2))
    second.setup({}, 1)
    second.set_state(first.get_state())
    assert second.total_samples == 3
    last = second.next_suggestion()
    assert last is not None
    assert (last.config, last.experiment_tag) == ({}, "2")
    assert len({each.trial_id for each in (*suggestions, last) if each}) == 3
    assert second.get_state() == {"count": 3}
