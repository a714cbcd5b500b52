from __future__ import annotations

import pytest

from localtune.config.checks import check_num_samples
from localtune.search import BasicVariantGenerator, SearchAlgorithm


def test_metric_and_mode_are_unknown_at_first() -> None:
    algorithm = BasicVariantGenerator()

    assert (algorithm.metric, algorithm.mode) == (None, None)


def test_metric_and_mode_are_taken_once() -> None:
    algorithm = BasicVariantGenerator()

    assert algorithm.set_search_properties(None, None, {})
    assert algorithm.set_search_properties("loss", None, {}, num_samples=1)
    assert algorithm.set_search_properties(None, "min", {}, stop=None)
    assert (algorithm.metric, algorithm.mode) == ("loss", "min")
    assert not algorithm.set_search_properties("other", None, {})
    assert not algorithm.set_search_properties(None, "max", {})
    assert (algorithm.metric, algorithm.mode) == ("loss", "min")


def test_metric_and_mode_of_one_algorithm_are_not_those_of_another() -> None:
    BasicVariantGenerator().set_search_properties("loss", "min", {})

    assert BasicVariantGenerator().metric is None


def test_the_interface_has_no_instances() -> None:
    with pytest.raises(TypeError, match="abstract"):
        SearchAlgorithm()  # type: ignore[abstract]


@pytest.mark.parametrize("num_samples", [-1, 1, 1000])
def test_a_number_of_samples_in_its_range_passes(num_samples: int) -> None:
    check_num_samples(num_samples)
