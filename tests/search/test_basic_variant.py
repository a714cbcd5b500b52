from __future__ import annotations

import itertools
import math
import pickle
import random
import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import SearchSpaceError
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.sample import choice, grid_search, randint, sample_from, uniform
from localtune.search.suggestion import Suggestion
from tests.search.strategies import SPACES


def generator(space: dict[str, Any], num_samples: int = 1, **kwargs: Any) -> BasicVariantGenerator:
    made = BasicVariantGenerator(**kwargs)
    made.setup(space, num_samples)
    return made


def all_of(made: BasicVariantGenerator) -> list[Suggestion]:
    found = []
    while not made.is_finished():
        suggestion = made.next_suggestion()
        assert suggestion is not None
        found.append(suggestion)
    assert made.next_suggestion() is None
    return found


def configs(space: dict[str, Any], num_samples: int = 1, **kwargs: Any) -> list[dict[str, Any]]:
    return [each.config for each in all_of(generator(space, num_samples, **kwargs))]


# -- ids and tags ---------------------------------------------------------------------------


def test_ids_are_five_hex_digits_and_a_counter() -> None:
    ids = [each.trial_id for each in all_of(generator({}, 12))]

    prefix = ids[0][:5]
    assert re.fullmatch("[0-9a-f]{5}", prefix)
    assert ids == [f"{prefix}_{number:05d}" for number in range(12)]


def test_two_runs_with_the_same_seed_have_other_ids() -> None:
    first, second = (
        [each.trial_id for each in all_of(generator({}, 1, random_state=1))] for _ in range(2)
    )

    assert first != second


def test_the_random_part_of_ids_can_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TEST_TUNE_TRIAL_UUID", "fixed")

    assert all_of(generator({}))[0].trial_id == "fixed_00000"


def test_a_tag_is_the_number_and_the_varying_parameters() -> None:
    space = {"b": grid_search([1, 2]), "a": choice(["x"]), "c": 3, "d": sample_from(lambda: 4)}
    tags = [each.experiment_tag for each in all_of(generator(space))]

    assert tags == ["0_a=x,b=1", "1_a=x,b=2"]


def test_a_tag_is_only_the_number_where_nothing_varies() -> None:
    assert [each.experiment_tag for each in all_of(generator({"a": 1}, 2))] == ["0", "1"]


def test_evaluated_params_have_flat_names() -> None:
    space = {"deep": {"l": [choice([5])]}, "c": 3, "f": sample_from(lambda: 4)}
    (suggestion,) = all_of(generator(space))

    assert suggestion.evaluated_params == {"deep/l/0": 5}
    assert suggestion.config == {"deep": {"l": [5]}, "c": 3, "f": 4}


def test_evaluated_params_and_tags_are_right_when_draws_are_kept_over_the_grid() -> None:
    space = {"g": grid_search([1, 2]), "u": uniform(0, 1)}
    found = all_of(generator(space, 2, constant_grid_search=True))

    assert [each.config["g"] for each in found] == [1, 2, 1, 2]
    assert [each.evaluated_params for each in found] == [each.config for each in found]
    assert [each.experiment_tag for each in found] == [
        f"{n}_g={each.config['g']},u={each.config['u']:.4f}" for n, each in enumerate(found)
    ]
    drawn = [each.config["u"] for each in found]
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3]


# -- samples, grids, points -----------------------------------------------------------------


def test_samples_repeat_the_whole_grid() -> None:
    space = {"bar": grid_search([True, False]), "foo": grid_search([1, 2, 3])}
    found = [(each["bar"], each["foo"]) for each in configs(space, 2)]

    grid = [(True, 1), (False, 1), (True, 2), (False, 2), (True, 3), (False, 3)]
    assert found == grid * 2


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), max_size=3), st.integers(1, 4))
def test_there_are_as_many_trials_as_samples_times_grid_points(
    sizes: dict[str, int], num_samples: int
) -> None:
    space = {key: grid_search(range(size)) for key, size in sizes.items()}
    made = generator(space, num_samples)
    grid = [
        tuple(reversed(point))
        for point in itertools.product(*(range(sizes[key]) for key in sorted(sizes, reverse=True)))
    ]

    assert made.total_samples == num_samples * math.prod(sizes.values())
    found = [tuple(each.config[key] for key in sorted(sizes)) for each in all_of(made)]
    assert found == grid * num_samples


def test_points_come_first_and_are_completed() -> None:
    points = [{"a": 2, "b": 2}, {"a": 1}, {"b": 2}]
    made = generator({"a": grid_search([1, 2]), "b": randint(0, 3)}, 4, points_to_evaluate=points)

    assert made.total_samples == 6
    found = all_of(made)
    assert len(found) == 6
    assert found[0].config == {"a": 2, "b": 2}
    assert found[1].config["a"] == 1
    assert [each.config["a"] for each in found[2:]] == [1, 2, 1, 2]
    assert [each.config["b"] for each in found[2:4]] == [2, 2]


def test_values_of_points_are_not_evaluated_params() -> None:
    points = [{"a": 2, "b": 2}, {"a": 1}]
    found = all_of(
        generator({"a": grid_search([1, 2]), "b": choice([2])}, 2, points_to_evaluate=points)
    )

    assert [each.evaluated_params for each in found] == [{}, {"b": 2}]
    assert [each.experiment_tag for each in found] == ["0", "1_b=2"]


def test_all_points_run_even_if_they_are_more_than_samples() -> None:
    made = generator({"a": uniform(0, 9)}, 1, points_to_evaluate=[{"a": n} for n in range(3)])

    assert made.total_samples == 3
    assert [each.config["a"] for each in all_of(made)] == [0, 1, 2]


def test_points_may_be_nested() -> None:
    space = {"m": {"lr": uniform(0, 1), "n": 5}, "l": [uniform(0, 1), 7]}

    (config,) = configs(space, points_to_evaluate=[{"m": {"lr": 0.5}, "l": [0.25]}])

    assert config == {"m": {"lr": 0.5, "n": 5}, "l": [0.25, 7]}


def test_a_point_can_fix_a_computed_value() -> None:
    space = {"x": choice([1]), "f": sample_from(lambda config: config["x"])}

    assert configs(space, points_to_evaluate=[{"f": 9}]) == [{"x": 1, "f": 9}]


@pytest.mark.parametrize(
    ("point", "part"), [({"a": 7}, "'a' is 7, which Float.0.0, 1.0."), ({"k": 6}, "'k' is 6")]
)
def test_a_value_outside_its_domain_is_refused_at_setup(point: dict[str, Any], part: str) -> None:
    made = BasicVariantGenerator(points_to_evaluate=[{}, point])

    with pytest.raises(ValueError, match=rf"points_to_evaluate\[1\]: {part}.*Change the value"):
        made.setup({"a": uniform(0, 1), "k": 5}, 3)


def test_an_unknown_key_of_a_point_is_refused_at_setup() -> None:
    made = BasicVariantGenerator(points_to_evaluate=[{}, {"lrr": 1}])

    with pytest.raises(KeyError, match=r"points_to_evaluate\[1\]: 'lrr' is not.*mean 'lr'"):
        made.setup({"lr": 1}, 1)


@pytest.mark.parametrize("points", [{"a": 1}, [1], "text", 5])
def test_points_that_are_no_list_of_dicts_are_refused(points: Any) -> None:
    with pytest.raises(TypeError, match="points_to_evaluate must be a list of dicts"):
        BasicVariantGenerator(points_to_evaluate=points)


@pytest.mark.parametrize("num_samples", [0, -2, 1.5, "3", None])
def test_a_number_of_samples_out_of_its_range_is_refused(num_samples: Any) -> None:
    with pytest.raises(ValueError, match=r"num_samples must be -1 \(no end\) or at least 1"):
        generator({}, num_samples)


def test_the_error_about_samples_names_the_value() -> None:
    with pytest.raises(ValueError) as caught:
        generator({}, 0)
    assert str(caught.value) == "num_samples must be -1 (no end) or at least 1, but got 0."


@pytest.mark.parametrize(
    "space", [{"a": {"grid_search": []}}, {"a": {"eval": "1 +"}}, {"a": {"grid_search": 5}}]
)
def test_a_space_that_cannot_be_sampled_is_refused_at_setup(space: dict[str, Any]) -> None:
    with pytest.raises(SearchSpaceError):
        generator(space)


def test_setup_makes_no_draw_and_runs_no_function() -> None:
    calls: list[int] = []
    rng = random.Random(1)
    generator({"u": uniform(0, 1), "f": sample_from(lambda: calls.append(1))}, random_state=rng)

    expected = random.Random(1)
    expected.getrandbits(64)  # the seed
    assert rng.getstate() == expected.getstate()
    assert calls == []


# -- the end --------------------------------------------------------------------------------


def test_it_is_finished_after_the_last_suggestion() -> None:
    made = generator({"a": grid_search([1, 2])}, 2)
    states = []
    for _ in range(4):
        states.append(made.is_finished())
        assert made.next_suggestion() is not None

    assert states == [False] * 4
    assert made.is_finished()


def test_without_end_it_goes_on() -> None:
    made = generator({"a": grid_search([1, 2])}, -1, points_to_evaluate=[{"a": 2}])

    assert made.total_samples is None
    found = [made.next_suggestion() for _ in range(7)]
    assert [each.config["a"] for each in found if each] == [2, 1, 2, 1, 2, 1, 2]
    assert not made.is_finished()


def test_the_total_is_unknown_if_a_choice_has_a_grid_inside() -> None:
    made = generator({"m": choice([{"x": grid_search([1, 2])}])}, 3)

    assert made.total_samples is None
    assert [each.config["m"]["x"] for each in all_of(made)] == [1, 2] * 3


def test_not_more_than_max_concurrent_are_handed_out() -> None:
    made = generator({}, 3, max_concurrent=2)
    first, second = made.next_suggestion(), made.next_suggestion()

    assert first and second
    assert made.next_suggestion() is None
    assert not made.is_finished()
    made.on_trial_result(first.trial_id, {"loss": 1})
    assert made.next_suggestion() is None
    made.on_trial_complete(first.trial_id)
    assert made.next_suggestion() is not None
    assert made.is_finished()


def test_a_failed_trial_makes_room_too() -> None:
    made = generator({}, 2, max_concurrent=1)
    first = made.next_suggestion()
    assert first

    made.on_trial_complete(first.trial_id, error=True)

    assert made.next_suggestion() is not None


@pytest.mark.parametrize("number", [-1, 1.5, None])
def test_max_concurrent_out_of_its_range_is_refused(number: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrent must be 0"):
        BasicVariantGenerator(max_concurrent=number)


# -- seeds ----------------------------------------------------------------------------------

SPACE = {"g": grid_search([1, 2]), "u": uniform(0, 1), "e": {"eval": "random.random()"}}


def test_the_same_seed_gives_the_same_configurations() -> None:
    assert configs(SPACE, 3, random_state=1) == configs(SPACE, 3, random_state=1)
    assert configs(SPACE, 3, random_state=1) != configs(SPACE, 3, random_state=2)


def test_a_seed_gives_the_same_configurations_without_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_numpy = configs(SPACE, 3, random_state=1)
    monkeypatch.setitem(sys.modules, "numpy", None)

    assert configs(SPACE, 3, random_state=1) == with_numpy


def test_all_draws_differ() -> None:
    drawn = {config["u"] for config in configs(SPACE, 50, random_state=1)}

    assert len(drawn) == 100


def test_global_seeds_make_runs_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    np.random.seed(1)
    first = configs(SPACE, 2)
    np.random.seed(1)
    assert configs(SPACE, 2) == first
    assert configs(SPACE, 2) != first

    monkeypatch.setitem(sys.modules, "numpy", None)
    random.seed(1)
    first = configs(SPACE, 2)
    random.seed(1)
    assert configs(SPACE, 2) == first


def test_random_numbers_drawn_elsewhere_do_not_matter() -> None:
    np.random.seed(1)
    undisturbed = configs(SPACE, 2)
    np.random.seed(1)
    made = generator(SPACE, 2)
    found = []
    while not made.is_finished():
        np.random.random(3)
        random.random()
        suggestion = made.next_suggestion()
        assert suggestion
        found.append(suggestion.config)

    assert found == undisturbed


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng, np.random.RandomState])
def test_generators_seed_runs(make: Any) -> None:
    assert configs(SPACE, 2, random_state=make(5)) == configs(SPACE, 2, random_state=make(5))


def test_an_invalid_source_of_randomness_is_refused() -> None:
    with pytest.raises(TypeError, match="random_state must be"):
        generator(SPACE, random_state="seed")


def test_a_generator_can_be_set_up_again() -> None:
    made = BasicVariantGenerator(random_state=1, max_concurrent=2)
    made.setup(SPACE, 1)
    first = [made.next_suggestion(), made.next_suggestion()]
    made.setup(SPACE, 1)

    assert not made.is_finished()
    second = [made.next_suggestion(), made.next_suggestion()]
    assert [each.config for each in second if each] == [each.config for each in first if each]


# -- going on later -------------------------------------------------------------------------


@given(
    space=SPACES,
    num_samples=st.sampled_from([1, 2, 5, -1]),
    handed_out=st.integers(0, 6),
    constant=st.booleans(),
    seed=st.none() | st.integers(0, 9),
)
def test_a_restored_generator_goes_on_with_the_same_trials(
    space: dict[str, Any], num_samples: int, handed_out: int, constant: bool, seed: int | None
) -> None:
    def made() -> BasicVariantGenerator:
        return generator(space, num_samples, constant_grid_search=constant, random_state=seed)

    original = made()
    for _ in range(handed_out):
        original.next_suggestion()
    state = pickle.loads(pickle.dumps(original.get_state()))
    restored = made()
    restored.set_state(state)

    for _ in range(5):
        assert restored.is_finished() == original.is_finished()
        assert restored.next_suggestion() == original.next_suggestion()


def test_a_restored_generator_goes_on_within_its_points() -> None:
    def made() -> BasicVariantGenerator:
        points = [{"a": 1}, {"b": 0.5}]
        return generator(
            {"a": grid_search([1, 2]), "b": uniform(0, 1)}, 3, points_to_evaluate=points
        )

    original, restored = made(), made()
    original.next_suggestion()
    original.next_suggestion()
    restored.set_state(original.get_state())

    assert all_of(restored) == all_of(original)


def test_a_restored_generator_knows_which_trials_are_alive() -> None:
    original = generator({}, 3, max_concurrent=1)
    first = original.next_suggestion()
    assert first
    restored = generator({}, 3, max_concurrent=1)
    restored.set_state(original.get_state())

    assert restored.next_suggestion() is None
    restored.on_trial_complete(first.trial_id)
    assert restored.next_suggestion() is not None


def test_the_state_does_not_grow_with_the_number_of_trials() -> None:
    made = generator(SPACE, -1)
    made.next_suggestion()
    early = len(pickle.dumps(made.get_state()))
    for _ in range(500):
        made.next_suggestion()

    assert len(pickle.dumps(made.get_state())) < early + 20


def test_a_generator_can_be_pickled() -> None:
    made = pickle.loads(pickle.dumps(BasicVariantGenerator([{"g": 1}], random_state=4)))
    made.setup(SPACE, 1)

    assert all_of(made)[0].config["g"] == 1


# -- purity ---------------------------------------------------------------------------------


def test_suggestions_share_no_container() -> None:
    space: dict[str, Any] = {"l": [1, {"x": []}], "c": choice([[5]]), "k": {6}}
    points = [{"c": [5]}]
    first, second, third = all_of(generator(space, 3, points_to_evaluate=points))

    for each in (first, second, third):
        each.config["l"][1]["x"].append(0)
        each.config["c"].append(0)
        each.config["k"].add(0)
    assert second.evaluated_params == third.evaluated_params == {"c": [5]}
    assert second.config == {"l": [1, {"x": [0]}], "c": [5, 0], "k": {0, 6}}
    assert space["l"] == [1, {"x": []}]
    assert space["c"].categories == [[5]]
    assert space["k"] == {6}
    assert points == [{"c": [5]}]


def test_the_owner_may_change_the_space_during_the_run() -> None:
    space: dict[str, Any] = {"a": [1], "g": grid_search([1, 2])}
    made = generator(space)
    space["a"].append(2)
    space["g"]["grid_search"].append(3)

    assert [each.config for each in all_of(made)] == [{"a": [1], "g": 1}, {"a": [1], "g": 2}]
