from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from localtune.progress_reporter.leaderboard import Leaderboard, rank
from localtune.trial.trial import Trial
from tests.progress_reporter.runs import make_trial


def valued(number: int, value: object) -> Trial:
    trial = make_trial(number)
    trial.last_result = {"loss": value}
    return trial


def numbers(trials: list[Trial]) -> list[int]:
    return [int(trial.trial_id[1:]) for trial in trials]


def test_running_trials_are_ranked_by_their_latest_value() -> None:
    board = Leaderboard("loss", "min")
    trials = [valued(0, 3), valued(1, 1), valued(2, 2)]
    for trial in trials:
        board.activate(trial)
    assert numbers(board.best(2)) == [1, 2]

    trials[1].last_result = {"loss": 9}

    assert numbers(board.best(5)) == [2, 0, 1]


def test_the_largest_is_best_with_max() -> None:
    board = Leaderboard("loss", "max")
    board.activate(valued(0, 3))
    board.settle(valued(1, 5))

    assert numbers(board.best(5)) == [1, 0]


def test_a_trial_that_runs_again_is_ranked_by_its_new_value() -> None:
    board = Leaderboard("loss", "min")
    trial, other = valued(0, 1), valued(1, 2)
    board.settle(other)
    board.settle(trial)
    board.activate(trial)
    trial.last_result = {"loss": 3}
    assert numbers(board.best(5)) == [1, 0]

    board.settle(trial)

    assert numbers(board.best(5)) == [1, 0]


def test_values_that_are_no_finite_numbers_are_never_ranked() -> None:
    board = Leaderboard("loss", "max")
    for number, value in enumerate([math.nan, math.inf, -math.inf, None, "7", [1]]):
        board.activate(valued(number, value))
        board.settle(valued(10 + number, value))

    assert board.best(5) == []


def test_the_first_of_equals_is_best() -> None:
    board = Leaderboard("loss", "min")
    trials = [valued(0, 1), valued(1, 1), valued(2, 1)]
    for trial in trials:
        board.activate(trial)
    for trial in reversed(trials):
        board.settle(trial)

    assert numbers(board.best(2)) == [0, 1]
    assert numbers(rank(trials, "loss", "max")) == [0, 1, 2]


def test_without_metric_or_mode_nothing_is_ranked() -> None:
    trial = valued(0, 1)
    for metric, mode in (("loss", None), (None, "min"), (None, None)):
        board = Leaderboard(metric, mode)
        board.settle(trial)
        assert board.best(5) == []
        assert rank([trial], metric, mode) == []


def test_trials_that_pause_again_and_again_do_not_pile_up() -> None:
    board = Leaderboard("loss", "min")
    trials = [valued(i, i) for i in range(3)]
    for _ in range(1000):
        for trial in trials:
            board.settle(trial)
            board.activate(trial)
    for trial in trials:
        board.settle(trial)

    assert len(board._settled) <= 2 * len(trials) + 64
    assert numbers(board.best(5)) == [0, 1, 2]


moves = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["activate", "settle"]), st.integers(0, 9)),
    max_size=60,
)


@given(moves, st.sampled_from(["min", "max"]), st.integers(1, 7))
def test_the_board_agrees_with_sorting_everything(
    history: list[tuple[int, str, int]], mode: str, number: int
) -> None:
    board = Leaderboard("loss", mode)
    trials: dict[int, Trial] = {}
    for i, move, value in history:
        trial = trials.setdefault(i, make_trial(i))
        trial.last_result = {"loss": value}
        getattr(board, move)(trial)
        assert board.best(number) == rank(list(trials.values()), "loss", mode)[:number]
