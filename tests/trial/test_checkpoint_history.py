from __future__ import annotations

import logging
import pickle
from typing import Any

import numpy as np
import pytest

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.trial.checkpoint_history import CheckpointHistory, TrackedCheckpoint


def tracked(index: int, **metrics: Any) -> TrackedCheckpoint:
    return TrackedCheckpoint(Checkpoint(f"/trial/checkpoint_{index:06d}"), metrics, index)


def by_score(num_to_keep: int | None = 2, order: str = "max", key: str = "score") -> Any:
    return CheckpointHistory(
        CheckpointConfig(
            num_to_keep=num_to_keep, checkpoint_score_attribute=key, checkpoint_score_order=order
        )
    )


def indices(some: list[TrackedCheckpoint]) -> list[int]:
    return [each.index for each in some]


def test_a_new_history_is_empty() -> None:
    history = CheckpointHistory(CheckpointConfig())

    assert (len(history), history.latest, history.kept, history.best) == (0, None, [], [])


def test_all_are_kept_in_order_of_time_without_a_rule() -> None:
    history = CheckpointHistory(CheckpointConfig())

    gone = [history.register(tracked(index)) for index in range(5)]

    assert gone == [[]] * 5
    assert indices(history.kept) == indices(history.best) == [0, 1, 2, 3, 4]


def test_the_newest_ones_are_kept_without_a_score() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=2))

    gone = [indices(history.register(tracked(index))) for index in range(4)]

    assert gone == [[], [], [0], [1]]
    assert indices(history.kept) == indices(history.best) == [2, 3]


def test_the_best_ones_and_the_newest_are_kept_by_score() -> None:
    history = by_score()

    gone = [indices(history.register(tracked(i, score=s))) for i, s in enumerate([5, 4, 3, 2])]

    assert gone == [[], [], [], [2]]
    assert indices(history.kept) == [0, 1, 3]
    assert indices(history.best) == [1, 0]
    assert history.latest is not None and history.latest.index == 3


def test_one_that_was_kept_for_being_the_newest_goes_at_the_next_registration() -> None:
    history = by_score(num_to_keep=1)

    gone = [indices(history.register(tracked(i, score=s))) for i, s in enumerate([5, 1, 9])]

    assert gone == [[], [], [1, 0]]
    assert indices(history.kept) == [2]


def test_only_the_newest_is_kept_with_num_to_keep_1_and_no_score() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=1))

    assert [indices(history.register(tracked(index))) for index in range(3)] == [[], [0], [1]]
    assert indices(history.kept) == [2]


def test_small_scores_are_the_best_with_order_min() -> None:
    history = by_score(order="min")

    for index, score in enumerate([3, 1, 2, 4]):
        history.register(tracked(index, score=score))

    assert indices(history.best) == [2, 1]


def test_of_equal_scores_the_newer_ones_rank_higher() -> None:
    history = by_score()

    for index in range(4):
        history.register(tracked(index, score=1))

    assert indices(history.best) == indices(history.kept) == [2, 3]


@pytest.mark.parametrize("order", ["max", "min"])
def test_nan_is_the_lowest_score(order: str) -> None:
    history = by_score(order=order)

    for index, score in enumerate([float("nan"), 1, 2, 3]):
        history.register(tracked(index, score=score))

    assert 0 not in indices(history.kept)


@pytest.mark.parametrize("order", ["max", "min"])
@pytest.mark.parametrize("metrics", [{}, {"score": "high"}, {"score": None}, {"score": [1]}])
def test_without_a_number_it_ranks_below_all_others(
    order: str, metrics: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    history = by_score(num_to_keep=3, order=order)

    history.register(tracked(0, score=1))
    with caplog.at_level(logging.WARNING):
        history.register(tracked(1, **metrics))
    history.register(tracked(2, score=float("nan")))

    assert indices(history.best)[0] == 1
    assert "'score'" in caplog.text and "checkpoint_000001" in caplog.text


def test_the_score_may_be_nested() -> None:
    history = by_score(num_to_keep=1, key="eval/acc")

    history.register(tracked(0, eval={"acc": 0.9}))
    history.register(tracked(1, eval={"acc": 0.1}))

    assert indices(history.best) == [0]


def test_the_score_may_stand_under_a_flat_key() -> None:
    history = by_score(num_to_keep=1, key="eval/acc")

    history.register(tracked(0, **{"eval/acc": 0.9}))
    history.register(tracked(1, **{"eval/acc": 0.1}))

    assert indices(history.best) == [0]


def test_a_bool_is_a_score() -> None:
    history = by_score(num_to_keep=1)

    history.register(tracked(0, score=True))
    history.register(tracked(1, score=False))

    assert indices(history.best) == [0]


def test_a_pinned_one_stays_until_it_is_released() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=1))
    first = tracked(0)
    history.register(first)
    first.pins.add("other trial")

    assert history.register(tracked(1)) == []
    assert indices(history.kept) == [0, 1]

    first.pins.discard("other trial")
    assert history.collect() == [first]
    assert indices(history.kept) == [1]


def test_it_stays_while_one_of_several_pins_is_left() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=1))
    first = tracked(0)
    first.pins |= {"one", "two"}
    history.register(first)
    history.register(tracked(1))

    first.pins.discard("one")

    assert history.collect() == []


def test_collecting_twice_returns_nothing_twice() -> None:
    history = by_score(num_to_keep=1)
    history.register(tracked(0, score=2))
    history.register(tracked(1, score=1))

    assert (history.collect(), history.collect()) == ([], [])


def test_after_the_latest_is_forgotten_the_newest_other_is_the_latest() -> None:
    history = by_score(num_to_keep=None)
    some = [tracked(index, score=-index) for index in range(3)]
    for each in some:
        history.register(each)

    history.forget(some[2])
    assert history.latest is some[1]

    history.forget(some[0])
    assert history.latest is some[1]

    history.forget(some[1])
    assert history.latest is None and len(history) == 0


def test_adopting_drops_nothing_before_the_next_one_comes() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=1))
    for index in range(3):
        history.adopt(tracked(index))

    assert indices(history.kept) == [0, 1, 2]
    assert history.latest is not None and history.latest.index == 2
    assert indices(history.register(tracked(3))) == [0, 1, 2]


def test_metrics_that_cannot_be_compared_do_not_matter() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=1))

    gone = [history.register(tracked(index, x=np.zeros(3))) for index in range(3)]

    assert [indices(each) for each in gone] == [[], [0], [1]]


def test_pickles_are_loaded_also_from_before_the_class_had_slots() -> None:
    history = CheckpointHistory(CheckpointConfig(num_to_keep=2))
    for index in range(3):
        history.register(tracked(index))
    before = {"_config": history._config, "_kept": history.kept, "latest": history.latest}
    old = CheckpointHistory.__new__(CheckpointHistory)
    old.__setstate__(before)
    new = pickle.loads(pickle.dumps(history))
    for loaded in (old, new):
        assert indices(loaded.kept) == [1, 2]
        assert loaded.latest is loaded.kept[-1]
        assert indices(loaded.register(tracked(3))) == [1]
