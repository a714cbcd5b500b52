"""What somebody might report by mistake: values for property tests."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

Pair = namedtuple("Pair", "left right")


class Level(IntEnum):
    LOW = 1


class Colour(Enum):
    RED = "red"


class Hostile:
    """Raises whenever it is asked for anything."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    def __hash__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __setstate__(self, state: object) -> None:
        raise RuntimeError("not to be loaded")

    def __getstate__(self) -> object:
        return {"full": 1}


class Text(str):
    __str__ = __repr__ = Hostile.__str__


RESERVED = (
    "done",
    "should_checkpoint",
    "training_iteration",
    "timesteps_this_iter",
    "timesteps_total",
    "episodes_this_iter",
    "time_this_iter_s",
    "time_total_s",
    "timestamp",
    "trial_id",
    "config",
    "date",
    "pid",
    "experiment_tag",
    "checkpoint_dir_name",
    "perf",
)


# Chosen by position: Hypothesis shows what it chooses from, and some of these have no text.
_VALUES: list[Any] = [
    10**300,
    -(10**308),
    10**400,
    10**4000,
    10**5000,
    1e308,
    np.float32(0.5),
    np.int64(-1),
    np.bool_(True),
    np.longdouble("1e400"),
    np.array([1, 2]),
    np.array([True, False]),
    np.array([], dtype=object),
    np.array([[None]], dtype=object),
    np.array(3),
    np.datetime64("2030-01-01"),
    1j,
    Fraction(10**400, 1),
    Decimal("NaN"),
    Decimal("sNaN"),
    Level.LOW,
    Colour.RED,
    {1, 2},
    Path("a"),
    Hostile(),
    Text("text"),
    int,
    len,
    "1" * 2000,
    "\ud800",
    "\0",
    "",
]
_ODD_KEYS: list[Any] = [None, 0.5, ("a", 1), Level.LOW, Colour.RED, Text("key"), 10**5000]


def _value(position: int) -> Any:
    return _VALUES[position]


def _odd_key(position: int) -> Any:
    return _ODD_KEYS[position]


def _scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=5),  # halves of surrogate pairs and NUL, too
        st.binary(max_size=5),
        st.sampled_from(range(len(_VALUES))).map(_value),
    )


def _keys() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(["loss", "a/b", "a", "", "\0", *RESERVED]),
        st.text(max_size=3),
        st.integers(-2, 2),
        st.sampled_from(range(len(_ODD_KEYS))).map(_odd_key),
    )


def odd_values() -> st.SearchStrategy[Any]:
    """One metric."""
    return st.recursive(
        _scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(_keys(), inner, max_size=3),
            st.dictionaries(st.text(max_size=2), inner, max_size=2).map(OrderedDict),
            st.tuples(inner, inner).map(lambda pair: Pair(*pair)),
        ),
        max_leaves=8,
    )


def odd_metrics() -> st.SearchStrategy[dict[Any, Any]]:
    """The metrics of one result."""
    return st.dictionaries(_keys(), odd_values(), max_size=5)
