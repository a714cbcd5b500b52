"""StopperContract: a test suite for the rules that every stopper must keep.

Derive a test class from :class:`StopperContract`, define how to make the stopper, and let pytest
collect it::

    class TestMyStopper(StopperContract):
        def make_stopper(self) -> Stopper:
            return MyStopper("loss", patience=3)

The suite needs pytest, and hypothesis for one test.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

from localtune.controller.kept_state import dump, load
from localtune.error import ExtraMissingError
from localtune.stopper.base import Stopper
from localtune.testing.simulation import simulate
from localtune.trial.status import Status

# (trial id, result) in the order of a run.
Results = Sequence[tuple[str, dict[str, Any]]]
# (whether the trial stops, whether the run stops)
Answer = tuple[bool, bool]


class StopperContract:
    """Tests of one stopper.

    Results have ``loss`` (which falls and then stays the same), ``nested/loss`` (the same value),
    ``training_iteration`` and ``time_total_s``.

    Attributes:
        watches_all_trials: Whether a decision on a trial also depends on other trials.
    """

    watches_all_trials = False

    def make_stopper(self) -> Stopper:
        """Makes a stopper; called several times per test."""
        raise NotImplementedError

    def test_it_returns_a_bool_and_does_not_change_the_result(self) -> None:
        stopper = self.make_stopper()
        assert isinstance(stopper, Stopper)
        for trial_id, result in made_up_results():
            before = copy.deepcopy(result)
            answer = stopper(trial_id, result)
            assert isinstance(answer, bool), f"The answer must be True or False, not {answer!r}"
            assert result == before, "A stopper must not change the result"
            assert isinstance(stopper.stop_all(), bool)

    def test_repeated_calls_of_stop_all_change_nothing(self) -> None:
        results = made_up_results()
        often = self.make_stopper()
        answers = []
        for trial_id, result in results:
            stops = often(trial_id, result)
            answers.append((stops, [often.stop_all() for _ in range(3)][-1]))
        assert answers == answers_of(self.make_stopper(), results)

    def test_nan_is_a_value_like_others(self) -> None:
        for trial_id, result in made_up_results(nan_from=3):
            assert isinstance(self.make_stopper()(trial_id, result), bool)
        answers_of(self.make_stopper(), made_up_results(nan_from=3))
        answers_of(self.make_stopper(), made_up_results(nan_from=0))

    def test_results_without_the_metric_are_left_out(self) -> None:
        answers_of(self.make_stopper(), made_up_results(missing_from=0))
        answers_of(self.make_stopper(), made_up_results(missing_from=3))

    def test_a_missing_key_is_warned_of_once(self) -> None:
        stopper = self.make_stopper()
        texts = stopper.missing_key_warnings({"something": 1})
        assert all(isinstance(text, str) and text for text in texts)
        assert stopper.missing_key_warnings({"something": 1}) == []

    def test_trials_do_not_disturb_each_other(self) -> None:
        if self.watches_all_trials:
            return
        results = made_up_results()
        together = answers_of(self.make_stopper(), results)
        for trial_id in {each for each, _ in results}:
            alone = [each for each in results if each[0] == trial_id]
            mixed = [
                answer
                for (each, _), answer in zip(results, together, strict=True)
                if each == trial_id
            ]
            assert [stops for stops, _ in mixed] == [
                stops for stops, _ in answers_of(self.make_stopper(), alone)
            ], f"{trial_id} is stopped at another result when there are other trials"

    def test_a_restored_stopper_gives_the_same_answers(self) -> None:
        results = made_up_results()
        for cut in range(len(results)):
            self._check_restored(results, cut)

    def test_random_results_and_a_pickle_in_the_middle(self) -> None:
        try:
            import hypothesis
            from hypothesis import strategies as st
        except ImportError as error:
            raise ExtraMissingError("hypothesis", "testing", "This test") from error

        values = st.floats(-10, 10) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
        rows = st.lists(st.tuples(st.sampled_from(["t1", "t2", "t3"]), values), max_size=12)

        # The explicit example is long, since a lost state may matter only after many results.
        @hypothesis.settings(max_examples=40, deadline=None, database=None)
        @hypothesis.example([(f"t{1 + number % 3}", 9.0 - number / 2) for number in range(24)])
        @hypothesis.given(rows)
        def goes_on(rows: list[tuple[str, float]]) -> None:
            results = numbered(rows)
            for cut in range(len(results)):
                self._check_restored(results, cut)

        goes_on()

    def test_a_run_with_it_ends(self) -> None:
        result = simulate(
            Falling,
            metric="loss",
            mode="min",
            num_samples=5,
            num_cpus=2,
            stop=self.make_stopper(),
            validate=True,
        )
        assert all(trial.status is Status.TERMINATED for trial in result.trials)
        assert all(trial.iterations <= Falling.length for trial in result.trials)

    def _check_restored(self, results: Results, cut: int) -> None:
        stopper = self.make_stopper()
        answers_of(stopper, results[:cut])
        # A stopper without a state is not saved: a resumed run uses the one that it is given.
        twin = load(dump(stopper), ()) if stopper.has_state else self.make_stopper()
        assert answers_of(twin, results[cut:]) == answers_of(stopper, results[cut:]), (
            f"A stopper that was pickled after {cut} results answers differently"
        )


class Falling:
    """A simulated trainable whose loss falls and then stays the same."""

    length = 30

    def __init__(self, config: dict[str, Any]) -> None:
        self.done = 0

    def step(self) -> dict[str, Any]:
        self.done += 1
        loss = loss_at(self.done)
        return {"loss": loss, "nested": {"loss": loss}, "done": self.done >= self.length}

    def get_state(self) -> int:
        return self.done

    def set_state(self, state: int) -> None:
        self.done = state


def loss_at(iteration: int) -> float:
    """Returns the loss at an iteration; it falls to 1 within six iterations."""
    return max(1.0, 7.0 - iteration)


def made_up_results(
    nan_from: int | None = None, missing_from: int | None = None, count: int = 20
) -> Results:
    """Returns the results of three trials in random order.

    Args:
        nan_from: Number of the first result whose loss is NaN; None for none.
        missing_from: Number of the first result without a loss; None for none.
        count: Number of results per trial.
    """
    order = ["t1", "t2", "t3"] * count
    random.Random(0).shuffle(order)
    seen = dict.fromkeys(order, 0)
    rows: list[tuple[str, float | None]] = []
    for trial_id in order:
        number = seen[trial_id]
        seen[trial_id] += 1
        loss: float | None = loss_at(number + int(trial_id[1]))
        if nan_from is not None and number >= nan_from:
            loss = math.nan
        if missing_from is not None and number >= missing_from:
            loss = None
        rows.append((trial_id, loss))
    return numbered(rows)


def numbered(rows: Iterable[tuple[str, float | None]]) -> Results:
    """Returns results for (trial id, loss) pairs; None leaves the loss out."""
    iterations: dict[str, int] = {}
    results = []
    for trial_id, loss in rows:
        iteration = iterations[trial_id] = iterations.get(trial_id, 0) + 1
        result: dict[str, Any] = {
            "training_iteration": iteration,
            "time_total_s": iteration * 1.5,
            "trial_id": trial_id,
            "done": False,
            "config": {},
        }
        if loss is not None:
            result |= {"loss": loss, "nested": {"loss": loss}}
        results.append((trial_id, result))
    return results


def answers_of(stopper: Stopper, results: Results) -> list[Answer]:
    """Returns a stopper's answers to results.

    Args:
        stopper: The stopper.
        results: The results.
    """
    return [(bool(stopper(trial_id, result)), stopper.stop_all()) for trial_id, result in results]
