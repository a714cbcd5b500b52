from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import join, line_width, plain
from localtune.progress_reporter.status import (
    bar,
    counts_parts,
    remaining_s,
    status_text,
    time_parts,
)
from localtune.progress_reporter.tracker import Counts
from tests.progress_reporter.runs import ended_trial

FACTS = RunFacts("/results/sweep", metric="loss", mode="min", total_samples=10)
COUNTS = Counts(running=2, pending=1, paused=1, finished=3, failed=1)


def test_counts_leave_out_statuses_without_trials() -> None:
    assert plain(join(counts_parts(COUNTS), ", ")) == (
        "2 running, 1 pending, 1 paused, 3 finished, 1 failed"
    )
    assert plain(join(counts_parts(Counts(0, 1500, 0, 0, 0)), ", ")) == "1,500 pending"
    assert plain(join(counts_parts(Counts(0, 0, 0, 0, 0)), ", ")) == "no trials yet"


def test_the_bar_shows_ended_running_and_paused_trials() -> None:
    assert bar(COUNTS, 10, 20) == [
        ("━" * 6, "green"),
        ("━" * 2, "red"),
        ("━" * 4, ""),
        ("━" * 2, "magenta"),
        ("─" * 6, "dim"),
    ]


@given(st.builds(Counts, *[st.integers(0, 50)] * 5), st.integers(0, 300), st.integers(1, 200))
def test_the_bar_is_as_long_as_asked_for(counts: Counts, total: int, width: int) -> None:
    assert line_width(bar(counts, total, width)) == width


def test_the_remaining_time_is_estimated_from_trials_that_ended_in_this_session() -> None:
    assert remaining_s(FACTS, COUNTS, ended_now=3, elapsed_s=60) == pytest.approx(120)


def test_nothing_is_estimated_from_too_few_trials() -> None:
    assert remaining_s(FACTS, COUNTS, ended_now=2, elapsed_s=60) is None


def test_nothing_is_estimated_without_an_end() -> None:
    assert remaining_s(RunFacts("/x"), COUNTS, ended_now=3, elapsed_s=60) is None


def test_a_time_budget_ends_a_run_earlier() -> None:
    facts = RunFacts("/x", total_samples=10, time_budget_s=100)

    assert remaining_s(facts, COUNTS, ended_now=3, elapsed_s=60) == 40
    assert remaining_s(facts, COUNTS, ended_now=0, elapsed_s=120) == 0


def test_the_time_is_shown_with_the_remaining_time() -> None:
    assert plain(time_parts(83, 130.4)) == "00:01:23, about 2m 10s left"
    assert plain(time_parts(83, None)) == "00:01:23"
    assert plain(time_parts(83, 0)) == "00:01:23"


def test_the_whole_state_fits_on_one_line() -> None:
    assert status_text(FACTS, COUNTS, ended_trial(7, loss=0.25)) == (
        "4/10 trials ended · 2 running · 1 pending · 1 paused · 3 finished · 1 failed"
        " · best loss=0.25 (t00007)"
    )


@pytest.mark.parametrize(
    ("facts", "plan"),
    [
        (RunFacts("/x", total_samples=1), "1 trial"),
        (RunFacts("/x"), "trials without end"),
        (
            RunFacts(
                "/x", total_samples=5, resources={"CPU": 4}, searcher_name="S", scheduler_name="A"
            ),
            "5 trials, 4 CPU, searcher S, scheduler A",
        ),
    ],
)
def test_the_plan_names_trials_slots_searcher_and_scheduler(facts: RunFacts, plan: str) -> None:
    assert facts.plan() == plan


def test_progress_grows_with_a_search_that_makes_more_trials_than_planned() -> None:
    assert FACTS.progress(4, 8) == "4/10"
    assert FACTS.progress(4, 12) == "4/12"
    assert RunFacts("/x").progress(4, 12) == "4"


def test_the_metric_is_optimised_only_with_a_mode() -> None:
    assert FACTS.optimised_metric == "loss"
    assert RunFacts("/x", metric="loss").optimised_metric is None
