"""SearcherContract: a test suite for the rules that every searcher must keep.

Derive a test class from :class:`SearcherContract`, define how to make the searcher and its
abilities, and let pytest collect it::

    class TestMySearch(SearcherContract):
        def make_searcher(self, **arguments: Any) -> Searcher:
            return MySearch(**arguments)
"""

from __future__ import annotations

import contextlib
import math
import pickle
from collections.abc import Iterator
from typing import Any, ClassVar

from localtune.search.base import Searcher
from localtune.search.presets import can_give
from localtune.search.sample import choice, grid_search, loguniform, randint, sample_from, uniform
from localtune.search.search_generator import SearchGenerator
from localtune.search.suggestion import Suggestion

METRIC = "loss"


class Session:
    """A run of a searcher without trials.

    Args:
        searcher: The searcher.
        space: The ``param_space``.
        num_samples: Number of trials; -1 for no end.
        metric: Metric of the run.
        mode: Mode of the run.
        seed: Seed of the run.
    """

    def __init__(
        self,
        searcher: Searcher,
        space: dict[str, Any],
        num_samples: int = -1,
        metric: str | None = METRIC,
        mode: str | None = "min",
        seed: int | None = 7,
    ) -> None:
        self.generator = SearchGenerator(searcher)
        spec = {"num_samples": num_samples, "stop": {}, "time_budget_s": None, "seed": seed}
        assert self.generator.set_search_properties(metric, mode, space, **spec)
        self.generator.setup(space, num_samples)
        self.live: list[Suggestion] = []

    def ask(self) -> Suggestion:
        """Returns the next trial; fails if there is none."""
        suggestion = self.generator.next_suggestion()
        assert suggestion is not None, "the searcher suggests nothing"
        self.live.append(suggestion)
        return suggestion

    def end(self, value: Any = None, error: bool = False) -> None:
        """Ends the oldest trial.

        Args:
            value: Value of the metric; None for no result.
            error: Whether the trial fails.
        """
        suggestion = self.live.pop(0)
        result = None if value is None or error else {METRIC: value, "training_iteration": 1}
        self.generator.on_trial_complete(suggestion.trial_id, result=result, error=error)

    def run(self, count: int, value_of: Any, concurrent: int = 1) -> list[dict[str, Any]]:
        """Runs some trials with two results each; returns their configurations.

        Args:
            count: Number of trials.
            value_of: Function from a configuration to its metric.
            concurrent: Number of concurrent trials.
        """
        configs = []
        for _ in range(count):
            suggestion = self._ask_or_wait(value_of)
            configs.append(suggestion.config)
            self.generator.on_trial_result(
                suggestion.trial_id,
                {METRIC: value_of(suggestion.config) + 1.0, "training_iteration": 1},
            )
            if len(self.live) >= concurrent:
                self.end(value_of(self.live[0].config))
        return configs

    def _ask_or_wait(self, value_of: Any) -> Suggestion:
        """Returns the next trial; ends running trials while the searcher waits for them."""
        suggestion = self.generator.next_suggestion()
        while suggestion is None and self.live:
            self.end(value_of(self.live[0].config))
            suggestion = self.generator.next_suggestion()
        assert suggestion is not None, "the searcher suggests nothing, and waits for no trial"
        self.live.append(suggestion)
        return suggestion


class SearcherContract:
    """Tests of one searcher, from random search to a model.

    Attributes:
        space: A space that the searcher supports, without conditions and functions.
        points: Two nested configurations from it.
        bad_points: Configurations that do not fit it.
        takes_points: Whether the searcher has an argument ``points_to_evaluate``.
        takes_rewards: Whether the searcher has an argument ``evaluated_rewards``.
        is_conditional: Whether choices may have domains inside.
        is_repeatable: Whether equal searchers suggest the same with the same seed of the run.
        takes_seed: Whether the searcher uses the seed of the run. Otherwise it has its own.
        learns: Whether later suggestions are better than the first.
        concurrent: Number of trials that it suggests before the first result.
    """

    space: ClassVar[dict[str, Any]] = {
        "x": uniform(-1.0, 1.0),
        "model": {"rate": loguniform(1e-4, 1.0), "depth": randint(1, 9)},
        "act": choice(["relu", "tanh"]),
        "constant": 3,
    }
    points: ClassVar[list[dict[str, Any]]] = [
        {"x": 0.5, "model": {"rate": 0.01, "depth": 8}, "act": "tanh"},
        {"x": -0.25, "model": {"rate": 0.1, "depth": 1}, "act": "relu"},
    ]
    bad_points: ClassVar[list[dict[str, Any]]] = [
        {"x": 0.5, "model": {"rate": 0.01, "depth": 9}, "act": "tanh"},
        {"x": 2.0, "model": {"rate": 0.01, "depth": 8}, "act": "tanh"},
        {"x": 0.5, "model": {"rate": 0.01, "depth": 8}, "act": "sigmoid"},
        {"x": 0.5, "model": {"rate": 0.01}, "act": "tanh"},
        {"x": 0.5, "model": {"rate": 0.01, "depth": 8}, "act": "tanh", "typo": 1},
    ]
    takes_points = True
    takes_rewards = False
    is_conditional = False
    is_repeatable = True
    takes_seed = True
    learns = True
    concurrent = 4

    def make_searcher(self, **arguments: Any) -> Searcher:
        """Makes a searcher without space, metric, mode and seed.

        Args:
            **arguments: ``points_to_evaluate`` and ``evaluated_rewards``, if a test gives them.
        """
        raise NotImplementedError

    def value_of(self, config: dict[str, Any]) -> float:
        """Returns the metric of a configuration; the lowest is at ``x = -1``."""
        return float(config["x"])

    def session(self, space: dict[str, Any] | None = None, **options: Any) -> Session:
        """Makes a session of a new searcher.

        Args:
            space: The search space; None is the class attribute.
            **options: Further arguments of :class:`Session`.
        """
        return Session(self.make_searcher(), space or self.space, **options)

    # -- suggestions --------------------------------------------------------------------------

    def test_suggestions_lie_in_the_space(self) -> None:
        for config in self.session().run(12, self.value_of):
            assert can_give(self.space, config), config

    def test_suggestions_differ(self) -> None:
        values = [config["x"] for config in self.session().run(8, self.value_of)]

        assert len(set(values)) > 4

    def test_the_space_is_left_as_it_is(self) -> None:
        before = repr(self.space)
        self.session().run(3, self.value_of)

        assert repr(self.space) == before

    def test_it_suggests_for_several_trials_at_once(self) -> None:
        session = self.session()
        ids = [session.ask().trial_id for _ in range(self.concurrent)]

        assert len(set(ids)) == self.concurrent

    def test_constants_and_functions_are_in_the_configuration(self) -> None:
        space = {**self.space, "double": sample_from(lambda config: 2 * config["x"])}
        [config] = self.session(space).run(1, self.value_of)

        assert config["constant"] == 3
        assert config["double"] == 2 * config["x"]

    def test_a_run_ends_after_its_number_of_samples(self) -> None:
        session = self.session(num_samples=3)
        session.run(3, self.value_of)

        assert session.generator.is_finished()
        assert session.generator.next_suggestion() is None

    def test_choices_may_have_domains_inside(self) -> None:
        space = {
            "x": uniform(-1.0, 1.0),
            "opt": choice([{"name": "sgd", "lr": loguniform(1e-4, 1.0)}, {"name": "none"}]),
        }
        if not self.is_conditional:
            self._is_refused(space)
            return
        configs = self.session(space).run(15, self.value_of)

        assert {config["opt"]["name"] for config in configs} == {"sgd", "none"}
        assert all(can_give(space, config) for config in configs)

    def test_a_grid_is_refused(self) -> None:
        self._is_refused({"x": uniform(0.0, 1.0), "y": grid_search([1, 2])})

    # -- points -------------------------------------------------------------------------------

    def test_points_to_evaluate_come_first(self) -> None:
        if not self.takes_points:
            return
        session = Session(self.make_searcher(points_to_evaluate=self.points), self.space)
        configs = session.run(3, self.value_of)

        for config, point in zip(configs, self.points, strict=False):
            assert _is_close({**point, "constant": 3}, config), config

    def test_points_that_do_not_fit_are_refused(self) -> None:
        for point in self.bad_points if self.takes_points else []:
            with _refused(ValueError, "points_to_evaluate[1]"):
                points = [self.points[0], point]
                Session(self.make_searcher(points_to_evaluate=points), self.space)

    def test_points_with_known_rewards_are_not_suggested(self) -> None:
        if not self.takes_rewards:
            return
        searcher = self.make_searcher(points_to_evaluate=self.points, evaluated_rewards=[0.5, -0.2])
        configs = Session(searcher, self.space).run(2, self.value_of)

        assert not any(_is_close({**self.points[0], "constant": 3}, each) for each in configs)

    def test_there_must_be_one_reward_for_each_point(self) -> None:
        if self.takes_rewards:
            with _refused(ValueError, "evaluated_rewards"):
                self.make_searcher(points_to_evaluate=self.points, evaluated_rewards=[0.5])

    # -- results ------------------------------------------------------------------------------

    def test_later_suggestions_are_better(self) -> None:
        if not self.learns:
            return
        for mode, sign in (("min", 1), ("max", -1)):
            configs = self.session(mode=mode).run(40, self.value_of)

            later = [sign * config["x"] for config in configs[20:]]
            assert sum(later) / len(later) < -0.2, mode

    def test_the_search_goes_on_after_bad_results(self) -> None:
        session = self.session()
        for value in (None, math.nan, 1.0, math.nan, None):
            session.ask()
            session.end(value)
            session.ask()
            session.end(error=True)
        session.ask()
        trial_id = session.live.pop(0).trial_id
        session.generator.on_trial_complete(trial_id, {"other": 1.0, "training_iteration": 1})

        assert len(session.run(3, self.value_of)) == 3

    def test_a_repeated_end_of_a_trial_is_ignored(self) -> None:
        session = self.session()
        trial_id = session.ask().trial_id
        for _ in range(2):
            session.generator.on_trial_complete(trial_id, {METRIC: 0.5, "training_iteration": 1})
        session.live.clear()

        assert len(session.run(3, self.value_of)) == 3

    def test_the_end_of_an_unknown_trial_is_ignored(self) -> None:
        session = self.session()
        session.generator.on_trial_complete("stranger", {METRIC: 0.5, "training_iteration": 1})

        assert len(session.run(2, self.value_of)) == 2

    # -- metric and mode ----------------------------------------------------------------------

    def test_another_metric_than_the_runs_is_refused(self) -> None:
        searcher = self.make_searcher()
        searcher.set_objective("accuracy", "max")

        with _refused(ValueError, "given twice"):
            Session(searcher, self.space)

    def test_a_run_without_mode_is_refused(self) -> None:
        with _refused(RuntimeError, "mode"):
            self.session(metric=METRIC, mode=None)

    # -- seeds and states ---------------------------------------------------------------------

    def test_the_seed_of_the_run_decides(self) -> None:
        if self.is_repeatable:
            first, second, other = (
                self.session(seed=seed).run(6, self.value_of) for seed in (1, 1, 2)
            )
            assert first == second
            assert (first != other) == self.takes_seed

    def test_a_restored_searcher_suggests_the_same(self) -> None:
        session, twin = self.session(), self.session()
        session.run(8, self.value_of, concurrent=self.concurrent)
        twin.generator.set_state(pickle.loads(pickle.dumps(session.generator.get_state())))
        twin.live = list(session.live)

        after = session.run(8, self.value_of, concurrent=self.concurrent)
        of_twin = twin.run(8, self.value_of, concurrent=self.concurrent)

        if self.is_repeatable:
            assert of_twin == after
        assert all(can_give(self.space, config) for config in of_twin)

    def test_a_saved_state_does_not_change(self) -> None:
        session = self.session()
        session.run(4, self.value_of, concurrent=2)
        state = session.generator.get_state()
        before = pickle.dumps(state)
        session.run(4, self.value_of, concurrent=2)

        assert pickle.dumps(state) == before

    def test_a_state_is_kept_in_a_file(self, tmp_path: Any) -> None:
        session, twin = self.session(), self.session()
        session.run(4, self.value_of)
        session.generator.searcher.save_to_dir(str(tmp_path), "session")
        twin.generator.searcher.restore_from_dir(str(tmp_path))

        assert [each.name for each in tmp_path.iterdir()] == ["searcher-state-session.pkl"]
        if self.is_repeatable:
            assert twin.run(3, self.value_of) == session.run(3, self.value_of)

    def _is_refused(self, space: dict[str, Any]) -> None:
        with _refused(ValueError, "cannot take"):
            self.session(space)


@contextlib.contextmanager
def _refused(kind: type[Exception], part: str) -> Iterator[None]:
    """Fails unless the block raises an error of this kind, with ``part`` in its text."""
    try:
        yield
    except kind as error:
        assert part in str(error), str(error)
    else:
        raise AssertionError(f"nothing was raised; expected {kind.__name__} with {part!r}")


def _is_close(expected: Any, value: Any) -> bool:
    """Returns whether two configurations are equal up to rounding errors."""
    if isinstance(expected, dict):
        return expected.keys() == value.keys() and all(
            _is_close(part, value[key]) for key, part in expected.items()
        )
    if isinstance(expected, float):
        return math.isclose(expected, value, rel_tol=1e-6)
    return bool(expected == value)
