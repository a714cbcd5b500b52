from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.schedulers.bracket import Bracket, BracketSize, band_sizes


@pytest.mark.parametrize(
    ("max_t", "factor", "sizes"),
    [
        (81, 3, [(0, 5, 81), (1, 8, 27), (2, 15, 9), (3, 34, 3), (4, 81, 1)]),
        (27, 3, [(0, 4, 27), (1, 6, 9), (2, 12, 3), (3, 27, 1)]),
        (100, 4, [(0, 4, 100), (1, 8, 25), (2, 22, 6), (3, 64, 1)]),
        (9, 3, [(0, 3, 9), (1, 5, 3), (2, 9, 1)]),
        (1, 3, [(0, 1, 1)]),
    ],
)
def test_a_band_has_the_brackets_of_the_paper(
    max_t: int, factor: int, sizes: list[tuple[int, int, int]]
) -> None:
    assert [(size.s, size.n, size.r) for size in band_sizes(max_t, factor)] == sizes


@pytest.mark.parametrize(("max_t", "factor", "left"), [(50, 3, 4), (6, 3, 2), (2, 3, 1), (6, 2, 3)])
def test_a_bracket_that_would_be_compared_at_time_0_is_left_out(
    max_t: int, factor: int, left: int
) -> None:
    sizes = band_sizes(max_t, factor)
    assert [size.s for size in sizes] == list(range(left))
    assert round(math.log(max_t) / math.log(factor)) + 1 == left + 1


def test_a_power_of_the_factor_loses_no_bracket_to_rounding() -> None:
    assert [(size.n, size.r) for size in band_sizes(729, 3)][-1] == (729, 1)


def sizes_of(bracket: Bracket) -> list[tuple[int, float]]:
    """(trials, milestone) at each comparison, if all places are taken."""
    for number in range(bracket.size.n):
        bracket.admit(f"t{number}")
    seen = [(len(bracket.members), bracket.milestone)]
    while bracket.halvings:
        for number, trial_id in enumerate(list(bracket.members)):
            bracket.record(trial_id, bracket.milestone, float(number))
        bracket.halve()
        seen.append((len(bracket.members), bracket.milestone))
    return seen


@pytest.mark.parametrize(
    ("max_t", "factor", "seen"),
    [
        (81, 3, [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]),
        (27, 3, [(27, 1), (9, 3), (3, 9), (1, 27)]),
        (100, 4, [(64, 1), (16, 4), (4, 16), (1, 64)]),
        (9, 3, [(9, 1), (3, 3), (1, 9)]),
    ],
)
def test_the_largest_bracket_is_cut_down_as_in_the_paper(
    max_t: int, factor: int, seen: list[tuple[int, float]]
) -> None:
    assert sizes_of(Bracket(band_sizes(max_t, factor)[-1], max_t, factor)) == seen


def test_numbers_are_rounded_up_and_milestones_down_and_never_beyond_max_t() -> None:
    assert sizes_of(Bracket(BracketSize(2, 22, 6), 100, 4)) == [(22, 6), (6, 24), (2, 96)]
    assert sizes_of(Bracket(BracketSize(2, 8, 3), 10, 2.5)) == [(8, 3), (4, 7), (2, 10)]


def test_the_best_are_kept() -> None:
    bracket = Bracket(BracketSize(1, 4, 1), 4, 2)
    for trial_id, score in (("a", 1.0), ("b", -math.inf), ("c", 3.0), ("d", 2.0)):
        bracket.admit(trial_id)
        bracket.record(trial_id, 1, score)
    assert bracket.halve() == ["b", "a"]
    assert list(bracket.members) == ["c", "d"]


def test_a_bracket_with_few_members_keeps_as_many_as_a_full_one() -> None:
    bracket = Bracket(BracketSize(1, 9, 1), 9, 3)
    for number in range(4):
        bracket.admit(f"t{number}")
        bracket.record(f"t{number}", 1, number)
    assert bracket.halve() == ["t0"]


def test_a_failed_trial_keeps_its_place_until_the_next_comparison() -> None:
    bracket = Bracket(BracketSize(1, 3, 1), 3, 3)
    for trial_id in "abc":
        bracket.admit(trial_id)
        bracket.record(trial_id, 1, 0.0)
    bracket.remove("a", may_return=True)
    assert bracket.readmit("a")
    bracket.remove("b", may_return=True)
    bracket.halve()
    assert not bracket.readmit("b")
    assert not bracket.readmit("c")


@given(st.integers(1, 300), st.sampled_from([2, 3, 4, 2.5]))
def test_the_share_of_a_bracket_that_runs_as_planned_ends_at_1(max_t: int, factor: float) -> None:
    for size in band_sizes(max_t, factor):
        bracket = Bracket(size, max_t, factor)
        assert bracket.share_done == 0
        for number in range(size.n):
            bracket.admit(str(number))
        for _ in range(size.s + 1):
            for trial_id in bracket.members:
                bracket.record(trial_id, bracket.milestone, 0.0)
            if bracket.halvings:
                bracket.halve()
        assert bracket.share_done == pytest.approx(1)
