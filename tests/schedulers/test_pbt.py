"""Population based training: which trials are saved, cloned and paused."""

from __future__ import annotations

import logging
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import localtune as tune
from localtune.error import TuneError
from localtune.schedulers import FIFOScheduler, PopulationBasedTraining, TrialScheduler
from localtune.schedulers.population import Member, quantile_size, quantiles
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.sample import uniform
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.suggestion import Suggestion
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.population_runs import RecordingController, make_trials, save, tell

CONTINUE, PAUSE, NOOP = TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.NOOP


def make_pbt(*, seed: int = 0, **options: Any) -> PopulationBasedTraining:
    arguments: dict[str, Any] = {
        "time_attr": "training_iteration",
        "perturbation_interval": 2,
        "hyperparam_mutations": {"lr": [1, 2, 3, 4]},
        **options,
    }
    scheduler = PopulationBasedTraining(**arguments)
    assert scheduler.set_search_properties("score", "max", seed=seed)
    return scheduler


def make_population(
    scheduler: PopulationBasedTraining, *configs: dict[str, Any]
) -> tuple[RecordingController, list[Trial]]:
    trials = make_trials(*configs)
    controller = RecordingController(trials)
    for trial in trials:
        scheduler.on_trial_add(controller, trial)
    return controller, trials


# -- quantiles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "sizes"),
    [
        (0.0, [0, 0, 0, 0, 0, 0, 0, 0]),
        (0.1, [0, 1, 1, 1, 1, 1, 1, 1]),
        (0.25, [0, 1, 1, 1, 2, 2, 2, 2]),
        (0.3, [0, 1, 1, 2, 2, 2, 3, 3]),
        (0.5, [0, 1, 1, 2, 2, 3, 3, 4]),
    ],
)
def test_the_size_of_a_quantile(fraction: float, sizes: list[int]) -> None:
    assert [quantile_size(number, fraction) for number in range(1, 9)] == sizes


def test_the_size_of_a_quantile_does_not_suffer_from_rounding_errors() -> None:
    assert 100 * 0.07 > 7
    assert quantile_size(100, 0.07) == 7


@given(st.integers(0, 200), st.floats(0, 0.5))
def test_quantiles_never_overlap(number: int, fraction: float) -> None:
    assert 0 <= 2 * quantile_size(number, fraction) <= number


def ranked(*scores: float | None, fraction: float = 0.25) -> tuple[list[str], list[str]]:
    trials = make_trials(*({} for _ in scores))
    members = {
        trial.trial_id: Member("", score=score) for trial, score in zip(trials, scores, strict=True)
    }
    lower, upper = quantiles(members, trials, fraction)
    return [trial.trial_id for trial in lower], [trial.trial_id for trial in upper]


def test_the_worst_and_the_best_are_found() -> None:
    assert ranked(5, 1, 7, 3, 2) == (["t1", "t4"], ["t0", "t2"])


def test_of_equal_trials_the_first_count_as_worse() -> None:
    assert ranked(1, 1, 1, 1) == (["t0"], ["t3"])
    assert ranked(2, 1, 2, 1) == (["t1"], ["t2"])
    assert ranked(1, 1, 1, fraction=0.5) == (["t0"], ["t2"])


def test_a_trial_without_a_score_is_in_no_quantile() -> None:
    assert ranked(None, 1, None, 2) == (["t1"], ["t3"])
    assert ranked(None, 1) == ([], [])
    assert ranked(-math.inf, 0, math.inf) == (["t0"], ["t2"])


def test_a_trial_that_has_ended_is_in_no_quantile() -> None:
    trials = make_trials({}, {}, {})
    trials[2].status = Status.TERMINATED
    members = {trial.trial_id: Member("", score=at) for at, trial in enumerate(trials)}
    lower, upper = quantiles(members, trials, 0.25)
    assert (lower, upper) == ([trials[0]], [trials[1]])


# -- single decisions ---------------------------------------------------------------------------


def test_nothing_is_decided_before_the_interval_has_passed() -> None:
    scheduler = make_pbt(perturbation_interval=3)
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    for iteration in (1, 2):
        assert tell(scheduler, controller, first, iteration, 9) == CONTINUE
        assert tell(scheduler, controller, second, iteration, 1) == CONTINUE
    assert tell(scheduler, controller, second, 3, 1) == CONTINUE
    assert (controller.saved, controller.clones) == ([], [])
    assert tell(scheduler, controller, first, 3, 9) == CONTINUE
    assert controller.saved == ["t0"]


def test_nothing_is_decided_before_the_burn_in_period_has_passed() -> None:
    scheduler = make_pbt(perturbation_interval=1, burn_in_period=4)
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    for iteration in (1, 2, 3):
        tell(scheduler, controller, first, iteration, 1)
        tell(scheduler, controller, second, iteration, 2)
    assert controller.saved == []
    tell(scheduler, controller, first, 4, 1)
    tell(scheduler, controller, second, 4, 2)
    assert controller.saved == ["t1"]


def test_a_bad_trial_goes_on_as_a_good_one() -> None:
    scheduler = make_pbt(resample_probability=0)
    controller, (good, bad) = make_population(scheduler, {"lr": 3, "k": "g"}, {"lr": 1, "k": "b"})
    assert tell(scheduler, controller, good, 2, 10) == CONTINUE
    # It was alone when it was decided upon: neither good nor bad.
    assert controller.saved == []
    assert tell(scheduler, controller, good, 4, 20) == CONTINUE
    assert tell(scheduler, controller, bad, 2, 1) == CONTINUE, "nothing to go on from"
    tell(scheduler, controller, good, 6, 30)
    assert controller.saved == ["t0"]
    controller.saving.add("t0")
    assert tell(scheduler, controller, bad, 4, 2) == NOOP
    [(target, donor, config, tag)] = controller.clones
    assert (target, donor, config["k"]) == ("t1", "t0", "g")
    assert config["lr"] in (2, 4)
    assert tag == f"1@perturbed[lr={config['lr']}]"
    assert good.config == {"lr": 3, "k": "g"}


def exploited(scheduler: PopulationBasedTraining) -> tuple[RecordingController, Trial, Trial]:
    """A population in which t1 shall go on from t0, which is at iteration 4."""
    controller, (good, bad) = make_population(scheduler, {"lr": 3}, {"lr": 1})
    tell(scheduler, controller, bad, 2, 1)
    tell(scheduler, controller, good, 4, 10)
    save(good, 4)
    assert tell(scheduler, controller, bad, 4, 2) == NOOP
    controller.saved.clear()
    return controller, good, bad


def test_a_clone_has_the_time_and_the_score_of_its_donor() -> None:
    scheduler = make_pbt()
    controller, _, bad = exploited(scheduler)
    controller.carry_out()
    assert scheduler.debug_string() == "PopulationBasedTraining: 0 exploits"
    assert tell(scheduler, controller, bad, 5, 11) == CONTINUE
    assert scheduler.debug_string() == "PopulationBasedTraining: 1 exploit"
    # Only now is it due again, and now it is the better one.
    controller.clones.clear()
    tell(scheduler, controller, bad, 6, 12)
    assert controller.saved == ["t1"]


def test_a_clone_request_that_fails_changes_nothing() -> None:
    scheduler = make_pbt()
    controller, _, bad = exploited(scheduler)
    # The donor turned out to have no checkpoint: the trial goes on as it was.
    tell(scheduler, controller, bad, 5, 3)
    assert scheduler.debug_string() == "PopulationBasedTraining: 0 exploits"
    controller.clones.clear()
    assert tell(scheduler, controller, bad, 6, 3) == NOOP


def test_a_clone_of_a_clone_has_one_tag() -> None:
    scheduler = make_pbt()
    controller, good, bad = exploited(scheduler)
    controller.carry_out()
    tell(scheduler, controller, good, 6, 11)
    controller.clones.clear()
    bad.status = Status.RUNNING
    tell(scheduler, controller, bad, 6, 3)
    assert [tag for *_, tag in controller.clones] == [
        f"1@perturbed[lr={controller.clones[0][2]['lr']}]"
    ]


def test_a_trial_does_not_go_back_to_where_it_was_cloned() -> None:
    scheduler = make_pbt()
    controller, good, bad = exploited(scheduler)
    controller.carry_out()
    controller.clones.clear()
    bad.status = Status.RUNNING
    for iteration in (6, 8):
        assert tell(scheduler, controller, bad, iteration, 3) == CONTINUE
    save(good, 6)
    tell(scheduler, controller, good, 6, 11)
    assert tell(scheduler, controller, bad, 10, 3) == NOOP
    assert controller.clones[0][:2] == ("t1", "t0")


def test_a_good_trial_without_a_checkpoint_is_no_donor(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = make_pbt()
    controller, (good, bad) = make_population(scheduler, {"lr": 3}, {"lr": 1})
    tell(scheduler, controller, bad, 2, 1)
    tell(scheduler, controller, good, 2, 9)
    assert controller.saved == ["t0"]
    for iteration in (4, 6):
        assert tell(scheduler, controller, bad, iteration, 1) == CONTINUE
    assert controller.clones == []
    assert len(caplog.records) == 1 and "has no checkpoint" in caplog.text


def test_a_checkpoint_from_before_the_latest_score_is_not_used() -> None:
    scheduler = make_pbt()
    controller, (good, bad) = make_population(scheduler, {"lr": 3}, {"lr": 1})
    save(good, 1)
    tell(scheduler, controller, good, 2, 9)
    assert tell(scheduler, controller, bad, 2, 1) == CONTINUE
    save(good, 3)
    assert tell(scheduler, controller, bad, 4, 1) == NOOP


def test_a_clone_keeps_its_rank_until_its_own_next_result() -> None:
    scheduler = make_pbt()
    controller, trials = make_population(scheduler, *({"lr": 1} for _ in range(8)))
    for number, trial in enumerate(trials):
        save(trial, 2)
        tell(scheduler, controller, trial, 2, number)
    for number, trial in enumerate(trials):
        tell(scheduler, controller, trial, 4, number)
        controller.carry_out()
    # A quarter of eight: with the scores of their donors they would push others down.
    assert [clone[0] for clone in controller.clones] == ["t0", "t1"]


def test_a_clone_waits_at_the_time_that_it_was_set_back_to() -> None:
    scheduler = make_pbt()
    controller, (good, bad, other) = make_population(scheduler, {"lr": 3}, {"lr": 1}, {"lr": 2})
    tell(scheduler, controller, good, 2, 9)
    save(good, 2)
    tell(scheduler, controller, other, 4, 5)
    assert tell(scheduler, controller, bad, 6, 1) == NOOP
    controller.carry_out()
    good.status = other.status = Status.PAUSED
    good.status = Status.RUNNING
    assert scheduler.choose_trial_to_run(controller) is bad


def test_a_trial_between_the_quantiles_is_left_alone() -> None:
    scheduler = make_pbt()
    controller, trials = make_population(scheduler, {"lr": 1}, {"lr": 2}, {"lr": 3})
    save(trials[2], 2)
    for trial, score in ((trials[0], 1), (trials[2], 3), (trials[1], 2)):
        assert tell(scheduler, controller, trial, 2, score) == CONTINUE
    assert controller.saved == ["t2"] and controller.clones == []


def test_a_smaller_value_is_better_in_mode_min() -> None:
    scheduler = PopulationBasedTraining(
        "training_iteration", "score", "min", 2, hyperparam_mutations={"lr": [1, 2]}
    )
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    tell(scheduler, controller, first, 2, 9)
    tell(scheduler, controller, second, 2, 1)
    assert controller.saved == ["t1"]


def test_nan_is_neither_good_nor_bad() -> None:
    scheduler = make_pbt()
    controller, trials = make_population(scheduler, {"lr": 1}, {"lr": 2}, {"lr": 3})
    for trial in trials:
        save(trial, 2)
    tell(scheduler, controller, trials[0], 2, 1)
    tell(scheduler, controller, trials[1], 2, 2)
    assert tell(scheduler, controller, trials[2], 2, math.nan) == CONTINUE
    assert (controller.saved, controller.clones) == (["t1"], [])
    assert tell(scheduler, controller, trials[0], 4, 1) == NOOP
    assert controller.clones[0][1] == "t1"


def test_with_a_fraction_of_zero_no_trial_is_cloned() -> None:
    scheduler = make_pbt(quantile_fraction=0)
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    for trial in (first, second, first, second):
        save(trial, 2)
        assert tell(scheduler, controller, trial, 2, trial.config["lr"]) == CONTINUE
    assert (controller.saved, controller.clones) == ([], [])


@pytest.mark.parametrize("status", [Status.PENDING, Status.PAUSED])
def test_a_trial_pauses_after_a_decision_if_another_waits(status: Status) -> None:
    scheduler = make_pbt()
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    second.status = status
    assert tell(scheduler, controller, first, 1, 1) == CONTINUE
    assert tell(scheduler, controller, first, 2, 1) == PAUSE
    first.status = Status.PAUSED
    assert scheduler.choose_trial_to_run(controller) is second
    second.status = Status.TERMINATED
    assert scheduler.choose_trial_to_run(controller) is first


def test_the_trial_that_is_least_far_runs_next() -> None:
    scheduler = make_pbt()
    controller, trials = make_population(scheduler, *({"lr": 1} for _ in range(3)))
    for trial, iteration in zip(trials, (6, 2, 4), strict=True):
        tell(scheduler, controller, trial, iteration, 1)
        trial.status = Status.PAUSED
    assert scheduler.choose_trial_to_run(controller) is trials[1]
    assert scheduler.choose_trial_to_run(controller) is trials[1]
    trials[1].status = Status.RUNNING
    assert scheduler.choose_trial_to_run(controller) is trials[2]


# -- missing values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "key"), [({"score": 1}, "training_iteration"), ({"training_iteration": 1}, "score")]
)
def test_a_result_without_metric_or_time_is_an_error(result: dict[str, Any], key: str) -> None:
    scheduler = make_pbt()
    controller, (trial,) = make_population(scheduler, {"lr": 1})
    with pytest.raises(RuntimeError, match=f"needs '{key}'.*require_attrs=False"):
        scheduler.on_trial_result(controller, trial, result)


def test_a_result_without_metric_or_time_may_be_skipped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = make_pbt(require_attrs=False)
    controller, (trial,) = make_population(scheduler, {"lr": 1})
    for _ in range(3):
        assert scheduler.on_trial_result(controller, trial, {"training_iteration": 2}) == CONTINUE
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "'score'" in caplog.text


def test_missing_keys_of_the_config_are_drawn_when_a_trial_is_added() -> None:
    mutations = {"lr": [1, 2], "opt": {"decay": tune.uniform(3, 4)}, "batch": lambda: 32}
    scheduler = make_pbt(hyperparam_mutations=mutations)
    controller, (trial,) = make_population(scheduler, {"lr": 7})
    decay = trial.config["opt"]["decay"]
    assert trial.config == {"lr": 7, "opt": {"decay": decay}, "batch": 32} and 3 <= decay < 4
    assert trial.evaluated_params == {"opt/decay": decay, "batch": 32}
    revision = trial.revision
    scheduler.on_trial_add(controller, trial)
    assert trial.revision == revision > 0


# -- custom functions ---------------------------------------------------------------------------


def test_a_custom_function_gets_the_configuration_of_the_step() -> None:
    seen = []

    def note(config: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(config))
        return {**config, "lr": 99}

    scheduler = make_pbt(custom_explore_fn=note)
    controller, *_ = exploited(scheduler)
    assert seen[0]["lr"] in (1, 2, 3, 4)
    assert controller.clones[0][2] == {"lr": 99}
    assert controller.clones[0][3] == "1@perturbed[lr=99]"


def test_a_custom_function_is_enough() -> None:
    scheduler = make_pbt(hyperparam_mutations=None, custom_explore_fn=lambda config: {"new": 1})
    controller, *_ = exploited(scheduler)
    assert controller.clones[0][2:] == ({"new": 1}, "1@perturbed[]")


def test_a_custom_function_must_return_the_config() -> None:
    scheduler = make_pbt(custom_explore_fn=lambda config: None)
    with pytest.raises(AssertionError, match="must return the new configuration"):
        exploited(scheduler)


# -- synchronous --------------------------------------------------------------------------------


def test_all_wait_for_the_last_one_when_synchronous() -> None:
    scheduler = make_pbt(synch=True)
    controller, trials = make_population(scheduler, *({"lr": 1} for _ in range(3)))
    for trial, score in zip(trials[:2], (1, 3), strict=True):
        assert tell(scheduler, controller, trial, 1, 0) == CONTINUE
        assert tell(scheduler, controller, trial, 2, score) == PAUSE
        trial.status = Status.PAUSED
        save(trial, 2)
    assert controller.clones == [] and scheduler.choose_trial_to_run(controller) is None
    assert tell(scheduler, controller, trials[2], 2, 2) == CONTINUE
    assert [clone[:2] for clone in controller.clones] == [("t0", "t1")]
    assert controller.saved == []
    controller.carry_out()
    assert scheduler.choose_trial_to_run(controller) is trials[0]


@pytest.mark.parametrize(("score", "decision"), [(0, NOOP), (9, CONTINUE)])
def test_the_last_trial_to_arrive_is_decided_on_too(score: float, decision: str) -> None:
    scheduler = make_pbt(synch=True)
    controller, (first, last) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    tell(scheduler, controller, first, 2, 5)
    first.status = Status.PAUSED
    save(first, 2)
    controller.saving.add("t1")  # as soon as it is asked to
    assert tell(scheduler, controller, last, 2, score) == decision
    expected = [("t1", "t0")] if decision == NOOP else [("t0", "t1")]
    assert [clone[:2] for clone in controller.clones] == expected
    assert controller.saved == ([] if decision == NOOP else ["t1"])


def test_a_trial_does_not_start_while_its_donor_is_being_saved() -> None:
    scheduler = make_pbt(synch=True)
    controller, (first, last) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    tell(scheduler, controller, first, 2, 5)
    first.status = Status.PAUSED
    controller.saving.add("t1")
    tell(scheduler, controller, last, 2, 9)
    assert scheduler.choose_trial_to_run(controller) is None
    controller.is_stuck = True
    assert scheduler.choose_trial_to_run(controller) is first
    controller.is_stuck = False
    controller.saving.clear()
    assert scheduler.choose_trial_to_run(controller) is first


def test_a_trial_that_gets_its_own_values_again_waits_for_its_donor_too() -> None:
    scheduler = make_pbt(hyperparam_mutations={"lr": [1]}, synch=True)
    controller, (bad, good) = make_population(scheduler, {"lr": 3}, {"lr": 1})
    for time in (2, 4):
        tell(scheduler, controller, bad, time, 5)
        bad.status = Status.PAUSED
        save(bad, time)
        controller.saving.add("t1")
        tell(scheduler, controller, good, time, 9)
        assert scheduler.choose_trial_to_run(controller) is None, time
        save(good, time)
        controller.saving.clear()
        controller.carry_out()
        controller.clones.clear()
        assert scheduler.choose_trial_to_run(controller) is bad
        assert bad.experiment_tag == "0@perturbed[lr=1]"
    assert scheduler.debug_string() == "PopulationBasedTraining: 2 exploits"


def test_a_first_sync_waits_for_the_burn_in_period() -> None:
    scheduler = make_pbt(synch=True, burn_in_period=5)
    controller, (first, _) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    assert [tell(scheduler, controller, first, at, 1) for at in (2, 4, 5)] == [
        CONTINUE,
        CONTINUE,
        PAUSE,
    ]


@pytest.mark.parametrize("how", ["complete", "error", "remove"])
def test_no_trial_waits_for_a_trial_that_has_ended(how: str) -> None:
    scheduler = make_pbt(synch=True)
    controller, trials = make_population(scheduler, *({"lr": 1} for _ in range(3)))
    for trial, score in zip(trials[:2], (1, 3), strict=True):
        tell(scheduler, controller, trial, 2, score)
        trial.status = Status.PAUSED
        save(trial, 2)
    last = trials[2]
    if how == "error":
        last.num_failures = 1
        scheduler.on_trial_error(controller, last)
        last.status = Status.ERROR
    else:
        last.status = Status.TERMINATED
        if how == "complete":
            scheduler.on_trial_complete(controller, last, {})
        else:
            scheduler.on_trial_remove(controller, last)
    assert [clone[:2] for clone in controller.clones] == [("t0", "t1")]
    controller.carry_out()
    assert scheduler.choose_trial_to_run(controller) is trials[0]


def test_a_retried_trial_is_waited_for() -> None:
    scheduler = make_pbt(synch=True)
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    tell(scheduler, controller, first, 2, 5)
    first.status = Status.PAUSED
    # It dies while it is being saved.
    second.max_failures = 1
    second.num_failures = 1
    scheduler.on_trial_error(controller, second)
    second.status = Status.PENDING
    scheduler.on_trial_add(controller, second)
    assert controller.clones == []
    assert scheduler.choose_trial_to_run(controller) is second


def test_a_time_that_jumps_leaves_no_trial_waiting() -> None:
    scheduler = make_pbt(synch=True)
    controller, (first, second) = make_population(scheduler, {"lr": 1}, {"lr": 2})
    assert tell(scheduler, controller, first, 50, 5) == PAUSE
    first.status = Status.PAUSED
    save(first, 50)
    assert tell(scheduler, controller, second, 50, 4) == NOOP
    controller.carry_out()
    assert scheduler.choose_trial_to_run(controller) is not None


# -- checks -------------------------------------------------------------------------------------


def test_there_must_be_something_to_change() -> None:
    with pytest.raises(TuneError, match="hyperparam_mutations"):
        PopulationBasedTraining()


@pytest.mark.parametrize(
    "options",
    [
        {"quantile_fraction": 0.51},
        {"quantile_fraction": -0.1},
        {"quantile_fraction": math.nan},
        {"perturbation_interval": 0},
        {"perturbation_interval": -1},
        {"burn_in_period": -1},
        {"resample_probability": 1.5},
        {"perturbation_factors": ()},
        {"perturbation_factors": (math.inf,)},
        {"mode": "best"},
        {"time_attr": ""},
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PopulationBasedTraining(hyperparam_mutations={"lr": [1]}, **options)


def test_a_custom_function_must_be_one() -> None:
    with pytest.raises(TypeError, match="custom_explore_fn"):
        PopulationBasedTraining(custom_explore_fn=3)  # type: ignore[arg-type]


class OwnSearch(SearchAlgorithm):
    """A search algorithm of the user's."""

    total_samples = 1

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None: ...

    def next_suggestion(self) -> Suggestion | None:
        return None

    def is_finished(self) -> bool:
        return True

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None: ...


def test_a_searcher_cannot_be_combined_with_it() -> None:
    with pytest.raises(ValueError, match="OwnSearch"):
        make_pbt().check_run({"lr": 1}, OwnSearch())
    make_pbt().check_run({"lr": 1}, BasicVariantGenerator())


def test_a_misspelt_key_is_found_before_the_run() -> None:
    scheduler = make_pbt(hyperparam_mutations={"learning_rte": [1]})
    with pytest.raises(ValueError, match="hyperparam_mutations has the key 'learning_rte'"):
        scheduler.check_run({"learning_rate": 1}, BasicVariantGenerator())


def test_a_metric_is_needed() -> None:
    scheduler = PopulationBasedTraining(hyperparam_mutations={"lr": [1]})
    with pytest.raises(ValueError, match="metric"):
        scheduler.check_run({"lr": 1}, BasicVariantGenerator())


# -- state --------------------------------------------------------------------------------------


def decisions(scheduler: PopulationBasedTraining, *, restores: bool) -> list[Any]:
    """What becomes of four trials over many results, with restores in between, or without."""
    controller, trials = make_population(scheduler, *({"lr": 1} for _ in range(4)))
    seen: list[Any] = []
    for iteration in range(1, 21):
        for number, trial in enumerate(trials):
            save(trial, iteration)
            score = (number * 7 + iteration * 5) % 11
            seen.append(tell(scheduler, controller, trial, iteration, score))
            controller.carry_out()
            trial.status = Status.RUNNING
            seen.extend(controller.clones)
            controller.clones.clear()
            if restores:
                state = pickle.dumps(scheduler.get_state())
                scheduler = make_pbt(seed=99)
                scheduler.set_state(pickle.loads(state))
    return seen


def test_a_restored_scheduler_decides_as_if_nothing_had_happened() -> None:
    seen = decisions(make_pbt(), restores=False)
    assert seen.count(NOOP) > 5
    assert seen == decisions(make_pbt(), restores=True)


def test_the_seed_decides_the_exploration() -> None:
    assert decisions(make_pbt(seed=1), restores=False) == decisions(
        make_pbt(seed=1), restores=False
    )
    assert decisions(make_pbt(seed=1), restores=False) != decisions(
        make_pbt(seed=2), restores=False
    )


def test_the_state_holds_nothing_of_the_user() -> None:
    unpicklable = lambda: 1  # noqa: E731
    scheduler = make_pbt(
        hyperparam_mutations={"lr": unpicklable}, custom_explore_fn=lambda config: config
    )
    controller, (good, bad) = make_population(scheduler, {"lr": 3, "f": unpicklable}, {"lr": 1})
    tell(scheduler, controller, good, 2, 10)
    save(good, 4)
    assert tell(scheduler, controller, bad, 2, 1) == NOOP
    pickle.dumps(scheduler.get_state())


def test_it_is_a_scheduler_by_name() -> None:
    made = tune.schedulers.create_scheduler("pbt", hyperparam_mutations={"lr": [1]}, unknown=1)
    assert isinstance(made, PopulationBasedTraining) and isinstance(made, FIFOScheduler)
    assert made.clones_trials


# -- the suite of all -----------------------------------------------------------------------------


class TestPBT(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            perturbation_interval=2,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
            require_attrs=False,
        )


class TestPBTThatRequiresItsKeys(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            "training_iteration",
            perturbation_interval=3,
            quantile_fraction=0.5,
            hyperparam_mutations={"lr": [0.1, 0.2, 0.4], "momentum": uniform(0.1, 0.9)},
            log_config=False,
        )


class TestPBTInStep(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTraining(
            perturbation_interval=2,
            burn_in_period=3,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
            synch=True,
        )
