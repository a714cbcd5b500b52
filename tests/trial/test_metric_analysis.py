from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import LocaltuneInternalError
from localtune.trial.metric_analysis import (
    SCOPES,
    MetricStats,
    PackedStats,
    metric_stats_of,
    pack_stats,
    update_metric_stats,
)
from tests.records import add_results, make_trial


def stats_of(*values: float) -> MetricStats:
    rows = [{"m": value, "training_iteration": i} for i, value in enumerate(values, 1)]
    return metric_stats_of(rows)["m"]


def test_the_first_value_is_all_there_is() -> None:
    assert stats_of(3.0).as_dict() == {
        "max": 3.0,
        "min": 3.0,
        "avg": 3.0,
        "last": 3.0,
        "last-5-avg": 3.0,
        "last-10-avg": 3.0,
    }


def test_statistics_of_many_values() -> None:
    stats = stats_of(*range(1, 13))

    assert stats.as_dict() == {
        "max": 12,
        "min": 1,
        "avg": pytest.approx(6.5),
        "last": 12,
        "last-5-avg": 10,
        "last-10-avg": 7.5,
    }


@pytest.mark.parametrize(
    ("scope", "mode", "value"),
    [
        ("last", "max", 2),
        ("all", "max", 9),
        ("all", "min", 1),
        ("avg", "min", 4),
        ("last-5-avg", "max", 4),
        ("last-10-avg", "max", 4),
    ],
)
def test_scopes(scope: str, mode: str, value: float) -> None:
    assert stats_of(1, 9, 2).value(scope, mode) == pytest.approx(value)


def test_each_scope_is_known() -> None:
    assert [stats_of(1.0).value(scope) for scope in SCOPES] == [1.0] * 5


def test_another_scope_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scope must be one of last, all, .* but got 'best'"):
        stats_of(1).value("best")


def test_nan_is_last_and_never_an_extreme() -> None:
    nan = float("nan")

    for values in ([nan, 1.0, 3.0, nan], [1.0, nan, 3.0, nan]):
        stats = stats_of(*values)
        assert (stats.min, stats.max) == (1.0, 3.0)
        assert math.isnan(stats.last)


def test_infinity_is_an_extreme() -> None:
    assert stats_of(1.0, math.inf, -math.inf).as_dict()["max"] == math.inf


def test_numbers_and_bools_count_and_nothing_else() -> None:
    stats: dict[str, MetricStats] = {}
    row = {"f": 0.5, "i": 1, "b": True, "s": "x", "n": None, "l": [1], "training_iteration": 1}

    update_metric_stats(stats, row)

    assert sorted(stats) == ["b", "f", "i", "training_iteration"]


def test_what_only_tells_where_and_when_is_left_out(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, config={"lr": 0.1})
    add_results(trial, [{"loss": 1, "pid": 7, "timestamp": 9, "eval": {"pid": 8, "acc": 0.5}}])

    assert sorted(trial.metric_stats) == ["eval/acc", "eval/pid", "loss", "training_iteration"]


@pytest.mark.parametrize("key", [3, ("a", 1), None])
def test_keys_need_not_be_text(key: Any) -> None:
    assert metric_stats_of([{key: 0.5}])[key].last == 0.5


def test_integers_beyond_floats_are_left_out() -> None:
    rows: list[dict[str, Any]] = [{"m": 10**400, "training_iteration": i} for i in (1, 2)]

    assert list(metric_stats_of(rows)) == ["training_iteration"]


@pytest.mark.parametrize(
    "iterations", [[None] * 4, [0, 0, 0, 0], [1, 2, 3, 4], [11, 12, 13, 14], [1, 10, 100, 1000]]
)
def test_the_mean_is_that_of_the_values_whatever_the_iterations(iterations: list[Any]) -> None:
    values = [1.0, 2.0, 3.0, 6.0]
    rows = zip(values, iterations, strict=True)
    stats = metric_stats_of({"m": value, "training_iteration": each} for value, each in rows)

    assert stats["m"].avg == 3.0


@given(st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=40))
def test_the_mean_of_a_metric_that_not_each_result_has(values: list[int | None]) -> None:
    rows = [{"other": 1} if value is None else {"m": value} for value in values]
    reported = [value for value in values if value is not None]

    stats = metric_stats_of(rows).get("m")

    assert (stats is not None) == bool(reported)
    if stats is not None:
        assert stats.avg == pytest.approx(sum(reported) / len(reported))
        assert stats.count == len(reported)
        assert pickle.loads(pickle.dumps(stats)).numbers() == stats.numbers()


def test_a_trial_shows_its_statistics_by_name(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    add_results(trial, [{"loss": 3}, {"loss": 1}])

    assert trial.metric_analysis["loss"] == {
        "max": 3,
        "min": 1,
        "avg": 2,
        "last": 1,
        "last-5-avg": 2,
        "last-10-avg": 2,
    }


@given(
    st.lists(
        st.fixed_dictionaries(
            {"a": st.floats(width=32) | st.integers(-(2**60), 2**60), "b/c": st.floats(0, 1)}
        ),
        min_size=1,
        max_size=14,
    )
)
def test_statistics_that_are_packed_say_the_same(rows: list[dict[str, Any]]) -> None:
    stats = metric_stats_of(
        {**row, "training_iteration": number} for number, row in enumerate(rows, 1)
    )
    packed = pack_stats(stats)
    unpacked = packed.unpack() if isinstance(packed, PackedStats) else packed

    # NaN differs from itself, and 1 is 1.0: texts tell them apart.
    told = {name: repr(each.as_dict()) for name, each in unpacked.items()}
    assert told == {name: repr(each.as_dict()) for name, each in stats.items()}


def test_an_integer_that_no_float_holds_is_kept() -> None:
    stats = stats_of(2**53 + 1)
    assert pack_stats({"m": stats}) == {"m": stats}


def test_statistics_of_an_ended_trial_take_no_value() -> None:
    packed = pack_stats({"m": stats_of(1.0, 2.0)})
    assert isinstance(packed, PackedStats)
    with pytest.raises(LocaltuneInternalError):
        update_metric_stats(packed.unpack(), {"m": 3.0})
