from __future__ import annotations

import math
from typing import Any

import pytest

from localtune.result import DEFAULT_METRIC
from localtune.schedulers.metric_scheduler import MetricScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from tests.schedulers.fakes import FakeController, make_trial

SEARCH = BasicVariantGenerator()


def make(**kwargs: Any) -> MetricScheduler:
    return MetricScheduler("training_iteration", **kwargs)


def test_the_metric_and_mode_of_the_run_are_taken() -> None:
    scheduler = make()
    assert scheduler.set_search_properties("loss", "min", seed=1)
    assert (scheduler.metric, scheduler.mode) == ("loss", "min")
    scheduler.check_run({}, SEARCH)


@pytest.mark.parametrize(
    ("own", "of_run"),
    [
        ({"metric": "loss"}, ("acc", None)),
        ({"mode": "min"}, (None, "max")),
        ({"metric": "loss", "mode": "min"}, ("loss", "min")),
    ],
)
def test_a_metric_or_mode_given_twice_is_refused(own: dict[str, str], of_run: Any) -> None:
    scheduler = make(**own)
    assert not scheduler.set_search_properties(*of_run)
    assert scheduler.metric == own.get("metric")
    assert scheduler.mode == own.get("mode")


def test_metric_and_mode_may_come_from_different_places() -> None:
    scheduler = make(metric="loss")
    assert scheduler.set_search_properties(None, "min")
    scheduler.check_run({}, SEARCH)
    assert scheduler.score_of({"loss": 2.0}) == -2.0


def test_with_a_mode_only_the_metric_is_the_one_of_bare_numbers() -> None:
    scheduler = make(mode="max")
    assert scheduler.set_search_properties(None, None)
    assert scheduler.metric == DEFAULT_METRIC


@pytest.mark.parametrize(
    ("own", "missing"), [({}, "a metric and a mode"), ({"mode": "min"}, "a metric")]
)
def test_a_missing_metric_or_mode_is_named_with_its_remedy(own: Any, missing: str) -> None:
    scheduler = make(**own)
    with pytest.raises(ValueError, match=rf"needs {missing}\. .*TuneConfig") as caught:
        scheduler.check_run({}, SEARCH)
    with pytest.raises(ValueError, match=missing):
        scheduler.on_trial_add(FakeController(), make_trial(0))
    assert "MetricScheduler" in str(caught.value)


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [({"mode": "up"}, "mode must be"), ({"metric": 3}, "metric must be")],
)
def test_bad_arguments_are_refused(kwargs: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(**kwargs)
    with pytest.raises(ValueError, match="time_attr must be"):
        MetricScheduler("")


def test_scores_are_better_the_higher_they_are() -> None:
    assert make(metric="m", mode="max").score_of({"m": 3}) == 3
    assert make(metric="m", mode="min").score_of({"m": 3}) == -3
    for mode in ("min", "max"):
        assert make(metric="m", mode=mode).score_of({"m": math.nan}) == -math.inf


def test_a_missing_key_of_a_result_is_none() -> None:
    scheduler = make(metric="m", mode="max")
    assert scheduler.score_of({}) is None
    assert scheduler.score_of({"m": None}) is None
    assert scheduler.time_of({"training_iteration": math.nan}) is None
    assert scheduler.time_of({"training_iteration": 3}) == 3


def test_a_metric_that_is_no_number_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"'m', but a trial reported 'high'"):
        make(metric="m", mode="max").score_of({"m": "high"})


def test_the_seed_of_the_run_decides_draws() -> None:
    first, second, third = make(), make(), make()
    first.set_search_properties("m", "min", seed=1)
    second.set_search_properties("m", "min", seed=1)
    third.set_search_properties("m", "min", seed=2)
    draws = [each._rng.random() for each in (first, second, third)]
    assert draws[0] == draws[1] != draws[2]
