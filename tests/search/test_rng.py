from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest

from localtune.search.rng import as_random, derive_seed


def test_an_integer_is_the_seed_itself() -> None:
    assert derive_seed(5) == 5
    assert derive_seed(np.int64(5)) == 5


def test_an_integer_gives_the_same_draws_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    with_numpy = as_random(7).random()
    monkeypatch.setitem(sys.modules, "numpy", None)

    assert as_random(7).random() == with_numpy


def test_a_generator_of_python_is_used_itself() -> None:
    rng = random.Random(1)

    assert as_random(rng) is rng


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng, np.random.RandomState])
def test_a_generator_is_repeatable_and_moves_on(make: Any) -> None:
    first, second = make(3), make(3)
    seeds = [derive_seed(first), derive_seed(first)]

    assert seeds == [derive_seed(second), derive_seed(second)]
    assert seeds[0] != seeds[1]


def test_numpys_global_generator_is_the_default_where_numpy_is_imported() -> None:
    np.random.seed(1)
    first = [derive_seed(), derive_seed()]
    np.random.seed(1)

    assert [derive_seed(), derive_seed()] == first
    assert first[0] != first[1]


def test_pythons_global_generator_is_the_default_without_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    random.seed(1)
    first = [derive_seed(), derive_seed()]
    random.seed(1)

    assert [derive_seed(), derive_seed()] == first
    assert first[0] != first[1]


@pytest.mark.parametrize("source", ["5", 1.5, object()])
def test_another_source_is_refused(source: Any) -> None:
    with pytest.raises(TypeError, match="random_state must be"):
        derive_seed(source)
