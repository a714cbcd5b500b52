from __future__ import annotations

import logging
import pickle
import re
import threading
from typing import Any

import pytest

from localtune.search.base import Searcher
from localtune.search.sample import choice, grid_search, randint, sample_from, uniform
from localtune.search.search_generator import SearchGenerator


class Listed(Searcher):
    """Suggests the given values in their order, and then None."""

    def __init__(self, *suggestions: Any, takes_space: bool = False) -> None:
        super().__init__()
        self.suggestions = list(suggestions)
        self.takes_space = takes_space
        self.told: list[tuple[Any, ...]] = []

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        super().set_search_properties(metric, mode, config, **spec)
        self.spec = spec
        return self.takes_space

    def suggest(self, trial_id: str) -> Any:
        return self.suggestions.pop(0) if self.suggestions else None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.told.append((trial_id, result))

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self.told.append((trial_id, result, error))


def generator(searcher: Searcher, space: dict[str, Any], num_samples: int = -1) -> SearchGenerator:
    made = SearchGenerator(searcher)
    assert made.set_search_properties("loss", "min", space, num_samples=num_samples, seed=1)
    made.setup(space, num_samples)
    return made


def suggestion_of(suggested: Any, space: dict[str, Any], takes_space: bool = False) -> Any:
    return generator(Listed(suggested, takes_space=takes_space), space).next_suggestion()


def config_of(suggested: Any, space: dict[str, Any], takes_space: bool = False) -> Any:
    return suggestion_of(suggested, space, takes_space).config


# -- trials -----------------------------------------------------------------------------------


def test_ids_have_eight_hex_digits_and_tags_count_from_one() -> None:
    made = generator(Listed({"x": 0.5, "m": {"d": 1}}, {"x": 1.0, "m": {"d": 2}}), {"k": "c"})
    first, second = made.next_suggestion(), made.next_suggestion()

    assert first is not None and second is not None
    assert re.fullmatch("[0-9a-f]{8}", first.trial_id)
    assert first.trial_id != second.trial_id
    assert first.experiment_tag == "1_k=c,d=1,x=0.5000"
    assert second.experiment_tag == "2_k=c,d=2,x=1.0000"
    assert first.evaluated_params == {"x": 0.5, "m/d": 1}


def test_ids_can_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TEST_TUNE_TRIAL_UUID", "abcde")

    assert suggestion_of({}, {}).trial_id == "abcde_00001"


def test_a_suggestion_is_merged_over_constants_level_by_level() -> None:
    space = {"m": {"a": 1, "b": 2}, "list": [1, 2]}

    assert config_of({"m": {"b": 3}, "new": 4}, space) == {
        "m": {"a": 1, "b": 3},
        "list": [1, 2],
        "new": 4,
    }
    assert space == {"m": {"a": 1, "b": 2}, "list": [1, 2]}


def test_trials_share_no_containers() -> None:
    suggested = {"m": {"list": [1]}}
    made = generator(Listed(suggested, suggested), {"constants": [1]})
    first, second = made.next_suggestion(), made.next_suggestion()
    assert first is not None and second is not None
    first.config["m"]["list"].append(2)
    first.config["constants"].append(2)

    assert second.config == {"m": {"list": [1]}, "constants": [1]}
    assert suggested == {"m": {"list": [1]}}


def test_functions_get_the_suggested_values() -> None:
    space = {"x": uniform(0, 1), "y": sample_from(lambda c: c["x"] * 2), "z": {"eval": "spec.y+1"}}
    suggestion = suggestion_of({"x": 0.25}, space, takes_space=True)

    assert suggestion.config == {"x": 0.25, "y": 0.5, "z": 1.5}
    assert suggestion.evaluated_params == {"x": 0.25}
    assert suggestion.experiment_tag == "1_x=0.2500"


def test_values_in_lists_are_named_by_their_position() -> None:
    space = {"layers": [randint(1, 5), 3]}
    suggestion = suggestion_of({"layers": [2, 3]}, space, takes_space=True)

    assert suggestion.evaluated_params == {"layers/0": 2}


def test_a_run_has_no_more_trials_than_samples() -> None:
    made = generator(Listed({}, {}, {}), {}, num_samples=2)

    assert made.total_samples == 2
    assert made.next_suggestion() and made.next_suggestion()
    assert made.is_finished()
    assert made.next_suggestion() is None


def test_none_is_no_end_and_finished_is_one() -> None:
    made = generator(Listed(None, Searcher.FINISHED, {}), {})

    assert made.total_samples is None
    assert made.next_suggestion() is None
    assert not made.is_finished()
    assert made.next_suggestion() is None
    assert made.is_finished()
    assert made.next_suggestion() is None


def test_results_reach_the_searcher() -> None:
    searcher = Listed()
    made = generator(searcher, {})
    made.on_trial_result("a", {"loss": 1})
    made.on_trial_complete("a", {"loss": 2})
    made.on_trial_complete("b", error=True)

    assert searcher.told == [("a", {"loss": 1}), ("a", {"loss": 2}, False), ("b", None, True)]


# -- what is refused --------------------------------------------------------------------------


def test_domains_without_suggested_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Listed suggests no values .* x, m/d\."):
        generator(Listed(), {"x": uniform(0, 1), "m": {"d": randint(0, 2)}, "k": 1})


@pytest.mark.parametrize("suggested", ["later", 3, [{"x": 1}]])
def test_a_suggestion_that_is_no_dict_is_refused(suggested: Any) -> None:
    with pytest.raises(ValueError, match="must return a dict"):
        suggestion_of(suggested, {})


SPACE = {"x": uniform(0, 1), "m": {"depth": randint(0, 5)}, "act": choice(["relu", "tanh"])}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": 2.0}, r"2\.0 for 'x', which Float"),
        ({"x": float("nan")}, "nan for 'x'"),
        ({"m": {"depth": 2.5e9}}, "'m/depth'"),
        ({"m": 3}, "'m', where the search space has"),
        ({"act": "sigmoid"}, "'sigmoid' for 'act'"),
        ({"acts": "relu"}, r"'acts', which is not in the search space\. Did you mean 'act'"),
        ({"m": {}}, "did not for m/depth"),
    ],
)
def test_a_suggestion_outside_of_the_space_is_refused(
    changed: dict[str, Any], message: str
) -> None:
    suggested = {"x": 0.5, "m": {"depth": 1}, "act": "relu", **changed}

    with pytest.raises(ValueError, match=message):
        suggestion_of(suggested, SPACE, takes_space=True)


def test_a_searcher_with_its_own_space_may_suggest_anything() -> None:
    assert config_of({"x": 7, "new": {"y": 1}}, {"x": 3}) == {"x": 7, "new": {"y": 1}}


def test_a_domain_in_a_suggestion_is_refused() -> None:
    with pytest.raises(ValueError, match="did not for x"):
        suggestion_of({"x": grid_search([1, 2])}, {})


def test_an_object_that_is_no_searcher_is_refused() -> None:
    with pytest.raises(TypeError, match="Searcher"):
        SearchGenerator("optuna")  # type: ignore[arg-type]


# -- what the searcher is told beforehand -----------------------------------------------------


def test_the_searcher_gets_the_properties_of_the_run() -> None:
    searcher = Listed(takes_space=True)
    made = generator(searcher, {"x": uniform(0, 1)}, num_samples=3)

    assert (made.metric, made.mode) == ("loss", "min")
    assert searcher.spec == {"num_samples": 3, "seed": 1}


def test_an_empty_space_is_not_offered_to_the_searcher() -> None:
    searcher = Listed()
    generator(searcher, {})

    assert not hasattr(searcher, "spec")
    assert searcher.metric == "loss"


def test_an_override_that_takes_no_more_arguments_works() -> None:
    class Older(Searcher):
        def set_search_properties(self, metric: Any, mode: Any, config: Any) -> bool:  # type: ignore[override]
            return True

        def suggest(self, trial_id: str) -> dict[str, Any]:
            return {"x": 0.5}

    suggestion = generator(Older(), {"x": uniform(0, 1)}).next_suggestion()

    assert suggestion is not None
    assert suggestion.config == {"x": 0.5}


# -- state ------------------------------------------------------------------------------------


def test_a_run_that_is_taken_up_again_goes_on() -> None:
    suggestions = [{"x": number} for number in range(4)]
    space = {"r": {"eval": "random.random()"}}
    first, second = (generator(Listed(*suggestions), space, 4) for _ in range(2))
    first.next_suggestion()
    second.set_state(pickle.loads(pickle.dumps(first.get_state())))
    of_first, of_second = first.next_suggestion(), second.next_suggestion()

    assert of_first == of_second
    assert of_first is not None
    assert of_first.experiment_tag.startswith("2_")


def test_a_state_that_cannot_be_pickled_costs_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    searcher = Listed({}, {})
    searcher.suggestions.append({"lock": threading.Lock()})
    made = generator(searcher, {}, 5)
    made.next_suggestion()
    with caplog.at_level(logging.WARNING):
        states = [made.get_state() for _ in range(2)]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Listed cannot be saved" in caplog.text

    other = generator(Listed({"x": 1}), {}, 5)
    other.set_state(states[1])
    suggestion = other.next_suggestion()

    assert "begins anew" in caplog.text
    assert suggestion is not None
    assert suggestion.experiment_tag == "2_x=1"
