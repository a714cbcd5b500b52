"""Trials get more, or less, of the machine while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TuneError
from localtune.execution.in_process import InProcessExecutor
from localtune.resources import PlacementGroupFactory
from localtune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    ResourceChangingScheduler,
    TrialScheduler,
    create_scheduler,
)
from localtune.schedulers.resource_changing_scheduler import (
    DistributeResources,
    DistributeResourcesToTopJob,
)
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.sample import uniform
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.testing.simulation import simulate
from localtune.testing.simulation_result import SimulationResult
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.fakes import FakeController

ONE_CPU = PlacementGroupFactory([{"CPU": 1}])


def make_trial(
    controller: FakeController,
    scheduler: ResourceChangingScheduler,
    resources: PlacementGroupFactory,
) -> Trial:
    trial = Trial("fake", trial_id=f"t{len(controller.trials)}", placement_group_factory=resources)
    controller.trials.append(trial)
    scheduler.on_trial_add(controller, trial)
    return trial


class Machine:
    """Trials that all run, on a machine of some size.

    Args:
        function: Allocates.
        count: How many trials run.
        total: What the machine has.
        base: What each trial starts with.
    """

    def __init__(
        self,
        function: Any,
        count: int,
        total: dict[str, float],
        base: PlacementGroupFactory = ONE_CPU,
    ) -> None:
        self.scheduler = ResourceChangingScheduler(None, function)
        self.scheduler.set_search_properties("score", "max")
        self.controller = FakeController(count)
        self.controller.total_resources = total
        self.trials = [make_trial(self.controller, self.scheduler, base) for _ in range(count)]
        for trial in self.trials:
            trial.status = Status.RUNNING

    def report(self, number: int, score: float = 0.0) -> str:
        """Reports a result of a trial, sets its new resources, and returns the decision."""
        trial = self.trials[number]
        decision = self.scheduler.on_trial_result(self.controller, trial, {"score": score})
        trial.last_result = {"score": score}
        if decision == "PAUSE":
            trial.status = Status.PAUSED
            assert self.scheduler.choose_trial_to_run(self.controller) is trial
            trial.status = Status.RUNNING
            assert self.scheduler.choose_trial_to_run(self.controller) is not trial
        return decision

    def end(self, number: int) -> None:
        trial = self.trials[number]
        trial.status = Status.TERMINATED
        self.scheduler.on_trial_complete(self.controller, trial, {})

    def held(self, name: str = "CPU") -> list[float]:
        """How much each trial has that has not ended."""
        amounts = []
        for trial in self.controller.get_live_trials():
            assert trial.placement_group_factory is not None
            amounts.append(trial.placement_group_factory.required_resources.get(name, 0.0))
        return amounts


# -- DistributeResources --------------------------------------------------------------------------


def test_free_resources_are_shared_evenly() -> None:
    machine = Machine(DistributeResources(), 3, {"CPU": 8})

    decisions = [machine.report(number) for number in (0, 1, 2)]

    assert decisions == ["PAUSE"] * 3
    assert machine.held() == [3, 3, 2]
    assert [machine.report(number) for number in (0, 1, 2)] == ["CONTINUE"] * 3


def test_remaining_trials_get_the_resources_of_ended_ones() -> None:
    machine = Machine(DistributeResources(), 3, {"CPU": 8})
    for number in (0, 1, 2):
        machine.report(number)
    machine.end(1)

    assert machine.report(0) == "PAUSE"
    assert machine.held() == [4, 2]
    assert machine.report(2) == "PAUSE"
    assert machine.held() == [4, 4]


def test_a_trial_gives_back_units_for_a_new_trial_but_never_its_base() -> None:
    machine = Machine(DistributeResources(), 1, {"CPU": 4}, PlacementGroupFactory([{"CPU": 2}]))
    machine.report(0)
    assert machine.held() == [4]

    for _ in range(3):
        make_trial(machine.controller, machine.scheduler, PlacementGroupFactory([{"CPU": 2}]))
    machine.report(0)

    assert machine.held()[0] == 2
    assert machine.report(0) == "CONTINUE"


def test_no_trial_waits_for_resources_that_another_one_still_holds() -> None:
    machine = Machine(DistributeResources(), 1, {"CPU": 8})
    machine.report(0)
    assert machine.held() == [8]
    machine.trials.append(make_trial(machine.controller, machine.scheduler, ONE_CPU))
    machine.trials[1].status = Status.RUNNING

    assert machine.report(1) == "CONTINUE"
    assert machine.report(0) == "PAUSE"
    assert machine.report(1) == "PAUSE"
    assert machine.held() == [4, 4]


def test_units_and_their_number_and_a_reserve() -> None:
    function = DistributeResources(
        increase_by={"CPU": 2}, increase_by_times=2, reserve_resources={"CPU": 3}
    )
    machine = Machine(function, 2, {"CPU": 16})
    machine.report(0)
    machine.report(1)
    assert machine.held() == [5, 5]

    machine = Machine(DistributeResources(increase_by={"CPU": 2}), 1, {"CPU": 4})
    machine.report(0)
    assert machine.held() == [3]


def test_a_unit_may_be_a_bundle_of_its_own() -> None:
    base = PlacementGroupFactory([{}, {"CPU": 1}, {"CPU": 2, "GPU": 1}], "SPREAD")
    machine = Machine(DistributeResources(add_bundles=True), 1, {"CPU": 8, "GPU": 3}, base)

    machine.report(0)

    assert machine.trials[0].placement_group_factory == PlacementGroupFactory(
        [{}, {"CPU": 1}, {"CPU": 2, "GPU": 1}, {"CPU": 2, "GPU": 1}, {"CPU": 2, "GPU": 1}],
        "SPREAD",
    )


def test_trials_with_a_gpu_get_more_gpus() -> None:
    base = PlacementGroupFactory([{"CPU": 2, "GPU": 1}])
    machine = Machine(DistributeResources(), 2, {"CPU": 8, "GPU": 4}, base)
    machine.report(0)
    machine.report(1)

    assert machine.held("GPU") == [2, 2]
    assert machine.held("CPU") == [2, 2]


def test_no_trial_gets_one_and_a_half_gpus() -> None:
    machine = Machine(
        DistributeResources(), 1, {"CPU": 1, "GPU": 2}, PlacementGroupFactory([{"GPU": 0.5}])
    )
    machine.report(0)

    assert machine.held("GPU") == [1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"increase_by": {"CPU": 0}},
        {"increase_by": {"CPU": -1}},
        {"increase_by_times": 0},
        {"reserve_resources": {"CPU": "one"}},
    ],
)
def test_amounts_out_of_their_range(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DistributeResources(**arguments)


# -- DistributeResourcesToTopJob ------------------------------------------------------------------


def test_the_best_trial_gets_all_that_is_free() -> None:
    machine = Machine(DistributeResourcesToTopJob(), 3, {"CPU": 8})

    machine.report(0, score=0.2)
    assert machine.held() == [6, 1, 1]  # nobody else has a result yet
    machine.report(1, score=0.9)
    assert machine.held() == [6, 1, 1]
    machine.end(0)
    machine.report(2, score=0.5)
    assert machine.held() == [1, 1]
    machine.report(1, score=0.9)
    assert machine.held() == [7, 1]


def test_the_next_trial_gets_the_units_above_the_limit_of_the_best() -> None:
    machine = Machine(DistributeResourcesToTopJob(increase_by_times=2), 3, {"CPU": 8})
    machine.report(0, score=0.9)
    machine.report(1, score=0.5)
    machine.report(2, score=0.7)

    assert machine.held() == [3, 3, 2]


def test_units_of_the_best_trial_go_to_trials_that_could_not_start() -> None:
    machine = Machine(DistributeResourcesToTopJob(metric="score", mode="max"), 1, {"CPU": 4})
    machine.report(0, score=0.9)
    assert machine.held() == [4]
    make_trial(machine.controller, machine.scheduler, ONE_CPU)
    machine.report(0, score=0.9)

    assert machine.held() == [3, 1]


def test_lower_may_be_better_and_nan_never_is() -> None:
    machine = Machine(DistributeResourcesToTopJob(mode="min", metric="score"), 3, {"CPU": 4})
    for number, score in ((0, 0.9), (1, 0.1), (2, float("nan"))):
        machine.trials[number].last_result = {"score": score}

    assert [machine.report(0, 0.9), machine.report(2, float("nan"))] == ["CONTINUE"] * 2
    assert machine.report(1, 0.1) == "PAUSE"
    assert machine.held() == [1, 2, 1]


def test_the_best_trial_is_known_only_with_a_metric() -> None:
    scheduler = ResourceChangingScheduler(None, DistributeResourcesToTopJob())
    scheduler.set_search_properties(None, None)

    with pytest.raises(ValueError, match="needs a metric and a mode"):
        scheduler.check_run({}, BasicVariantGenerator())


# -- ResourceChangingScheduler --------------------------------------------------------------------


class Steady:
    """A simulated training of as many steps as its config says."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.length = config["length"]
        self.done = 0

    def step(self) -> dict[str, Any]:
        self.done += 1
        return {"loss": 1 / self.done / self.length, "done": self.done >= self.length}

    def get_state(self) -> int:
        return self.done

    def set_state(self, state: int) -> None:
        self.done = state


def sweep(scheduler: Any, lengths: list[int], cpus: float = 4, **options: Any) -> SimulationResult:
    return simulate(
        Steady,
        {"length": {"grid_search": lengths}},
        metric="loss",
        mode="min",
        scheduler=scheduler,
        num_cpus=cpus,
        validate=True,
        **options,
    )


def test_a_trial_goes_on_from_where_it_was() -> None:
    result = sweep(ResourceChangingScheduler(), [3, 12])

    assert [trial.iterations for trial in result.trials] == [3, 12]
    assert [event.what for event in result.events].count("paused") >= 3


def test_a_trial_with_new_resources_runs_before_all_waiting_trials() -> None:
    def two_from_the_second(controller: Any, trial: Trial, result: Any, scheduler: Any) -> Any:
        return PlacementGroupFactory([{"CPU": 2}]) if result["training_iteration"] >= 2 else None

    result = sweep(ResourceChangingScheduler(None, two_from_the_second), [4, 4, 4], cpus=2)

    ends = [event.trial_id for event in result.events if event.what == "completed"]
    assert ends == [trial.trial_id for trial in result.trials]


def test_the_base_scheduler_decides_which_trials_stop() -> None:
    base = ASHAScheduler(max_t=6, reduction_factor=2)
    result = sweep(ResourceChangingScheduler(base), [20, 20, 20])

    assert max(trial.iterations for trial in result.trials) == 6


def test_only_trials_that_go_on_get_other_resources() -> None:
    asked = []

    def note(controller: Any, trial: Trial, result: dict[str, Any], scheduler: Any) -> None:
        asked.append(result["training_iteration"])

    sweep(ResourceChangingScheduler(ASHAScheduler(max_t=3), note), [20], cpus=1)

    assert asked == [1, 2]


def test_a_function_gets_metric_and_mode_of_the_base_scheduler_and_the_run() -> None:
    base = MedianStoppingRule(metric="loss", mode="min")
    scheduler = ResourceChangingScheduler(base)

    assert scheduler.base_scheduler is base
    assert (scheduler.metric, scheduler.mode) == ("loss", "min")
    assert "over" in scheduler.debug_string()
    assert scheduler.changes_resources


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"cpu": 2}, "must return a PlacementGroupFactory"),
        (PlacementGroupFactory([{"CPU": 5}]), "asks for 5 CPU, but this machine has 4"),
    ],
)
def test_an_answer_that_cannot_be_used_ends_the_run(answer: Any, text: str) -> None:
    with pytest.raises(TuneError, match=text):
        sweep(ResourceChangingScheduler(None, lambda *_: answer), [3])


def test_trials_must_start_with_the_same() -> None:
    scheduler = ResourceChangingScheduler()
    controller = FakeController()
    make_trial(controller, scheduler, ONE_CPU)

    with pytest.raises(RuntimeError, match="start with the same resources"):
        make_trial(controller, scheduler, PlacementGroupFactory([{"CPU": 2}]))


def test_a_trial_that_is_taken_up_again_may_have_others() -> None:
    machine = Machine(DistributeResources(), 1, {"CPU": 4})
    machine.report(0)
    (trial,) = machine.trials
    trial.start_time = 1.0

    again = ResourceChangingScheduler()
    again.set_search_properties("score", "max")
    again.set_state(machine.scheduler.get_state())
    again.on_trial_add(machine.controller, trial)

    assert again.base_resources == ONE_CPU
    assert again.resources_of(trial).required_resources == {"CPU": 4}


def test_without_a_function_no_resources_change_and_there_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="changes nothing"):
        scheduler = ResourceChangingScheduler(None, None)
    result = sweep(scheduler, [3, 12])

    assert "paused" not in [event.what for event in result.events]


@pytest.mark.parametrize("arguments", [("asha", None), (FIFOScheduler(), 3)])
def test_arguments_of_the_wrong_kind(arguments: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ResourceChangingScheduler(*arguments)


def test_it_is_known_by_name() -> None:
    assert isinstance(create_scheduler("resource_changing"), ResourceChangingScheduler)


def test_workers_cannot_be_reused() -> None:
    with pytest.raises(ValueError, match="reuse_actors=True does not go with"):
        sweep(ResourceChangingScheduler(), [1], reuse_actors=True)


def test_clones_of_the_base_scheduler_start_in_workers_of_their_own() -> None:
    base = PopulationBasedTraining(
        perturbation_interval=2, hyperparam_mutations={"length": [12, 16]}, log_config=False
    )
    result = sweep(ResourceChangingScheduler(base), [16, 15, 14, 12], cpus=8)

    assert "changed" in [event.what for event in result.events]
    assert all(trial.status is Status.TERMINATED for trial in result.trials)


class Learner(tune.Trainable):
    """Reports its resources and its number of starts."""

    def setup(self, config: dict[str, Any]) -> None:
        self.starts = 1

    def step(self) -> dict[str, Any]:
        resources = self.trial_resources
        assert resources is not None
        return {"cpus": resources.required_resources["CPU"], "starts": self.starts}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "starts").write_text(str(self.starts))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.starts = int((Path(checkpoint_dir) / "starts").read_text()) + 1


def test_a_worker_gets_the_current_resources_of_its_trial(tmp_path: Path) -> None:
    def more_each_time(
        controller: Any, trial: Trial, result: dict[str, Any], scheduler: Any
    ) -> Any:
        return PlacementGroupFactory([{"CPU": min(result["training_iteration"] + 1, 3)}])

    (result,) = tune.Tuner(
        Learner,
        tune_config=tune.TuneConfig(scheduler=ResourceChangingScheduler(None, more_each_time)),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), stop={"training_iteration": 5}, verbose=0
        ),
        executor=InProcessExecutor(num_cpus=3),
    ).fit()

    assert result.metrics_dataframe is not None
    assert list(result.metrics_dataframe["cpus"]) == [1, 2, 3, 3, 3]
    assert list(result.metrics_dataframe["starts"]) == [1, 2, 3, 3, 3]


# -- the suite of all -----------------------------------------------------------------------------


class TestResourceChanging(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler()


class TestResourceChangingOverASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(
            ASHAScheduler(max_t=20, reduction_factor=3, type="promotion"),
            DistributeResources(add_bundles=True),
        )


class TestResourceChangingOverHyperBand(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(HyperBandScheduler(max_t=9), DistributeResources())


class TestResourceChangingOverPBT(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        base = PopulationBasedTraining(
            perturbation_interval=2,
            hyperparam_mutations={"lr": uniform(0.0, 1.0)},
            log_config=False,
        )
        return ResourceChangingScheduler(base, DistributeResources(increase_by_times=1))


class TestResourcesToTopJob(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ResourceChangingScheduler(None, DistributeResourcesToTopJob(increase_by_times=2))
