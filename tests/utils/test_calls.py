"""Calling things with the arguments that they take, and making them by name."""

from __future__ import annotations

import pytest

from localtune import create_scheduler, create_searcher
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.utils.calls import accepted, get_function_args


def test_only_what_a_function_takes_is_accepted() -> None:
    assert accepted(lambda depth: depth, {"depth": 3, "width": 4}) == {"depth": 3}


def test_a_function_that_takes_anything_gets_everything() -> None:
    assert accepted(lambda **options: options, {"depth": 3}) == {"depth": 3}


def test_names_are_taken_in_upper_and_lower_case_and_odd_arguments_dropped() -> None:
    assert isinstance(create_scheduler("FIFO", max_t=3), FIFOScheduler)
    assert isinstance(create_searcher("Random", gamma=1), BasicVariantGenerator)


def test_an_unknown_name_is_an_error_with_the_near_miss() -> None:
    with pytest.raises(ValueError, match=r"scheduler must be one of .* got 'fiffo'.*'fifo'"):
        create_scheduler("fiffo")
    with pytest.raises(ValueError, match=r"search_alg must be one of .*'optuna'"):
        create_searcher("optunna")


def test_the_arguments_of_a_class_are_those_of_its_constructor() -> None:
    assert get_function_args(BasicVariantGenerator)[:2] == ["points_to_evaluate", "max_concurrent"]
