"""Replaying the schedule that population based training found."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import PopulationBasedTrainingReplay, TrialScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.testing.simulation import simulate
from localtune.trial.trial import Trial
from tests.schedulers.population_runs import Climbing, RecordingController, make_trials, save, tell

CONTINUE, NOOP = TrialScheduler.CONTINUE, TrialScheduler.NOOP

# t1 went on as t0 at 3, and as t2, which had gone on as t0 at 5, at 8.
LINES: list[Any] = [
    ["1", "0", 2, 3, {"lr": 1}, {"lr": 99}],
    ["2", "0", 5, 5, {"lr": 1}, {"lr": 4}],
    ["1", "2", 7, 8, {"lr": 4}, {"lr": 8}],
]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    return write(tmp_path / "pbt_policy_t1.txt", LINES)


def make_run(
    policy: str, **config: Any
) -> tuple[PopulationBasedTrainingReplay, RecordingController, Trial]:
    scheduler = PopulationBasedTrainingReplay(policy)
    (trial,) = make_trials({"lr": 7, **config})
    controller = RecordingController([trial])
    scheduler.on_trial_add(controller, trial)
    return scheduler, controller, trial


def test_the_trial_begins_as_the_first_ancestor_did(policy: str) -> None:
    _, _, trial = make_run(policy, other="kept")
    assert trial.config == {"lr": 1, "other": "kept"}


def test_the_config_changes_where_it_changed_for_the_ancestors(policy: str) -> None:
    scheduler, controller, trial = make_run(policy)
    changes: list[tuple[Any, ...]] = []
    for iteration in range(1, 12):
        decision = tell(scheduler, controller, trial, iteration, 0)
        assert decision == (NOOP if controller.clones else CONTINUE)
        assert controller.saved == (["t0"] if controller.clones else [])
        changes.extend((iteration, *clone) for clone in controller.clones)
        controller.carry_out()
        controller.clones.clear()
    assert changes == [
        (5, "t0", "t0", {"lr": 4}, "0@perturbed[lr=4]"),
        (8, "t0", "t0", {"lr": 8}, "0@perturbed[lr=8]"),
    ]
    assert scheduler.debug_string() == "PopulationBasedTrainingReplay: step 2 of 2"


def test_changes_that_were_passed_over_are_made_up_for_at_once(policy: str) -> None:
    scheduler, controller, trial = make_run(policy)
    assert tell(scheduler, controller, trial, 20, 0) == NOOP
    assert [clone[2] for clone in controller.clones] == [{"lr": 8}]
    controller.carry_out()
    assert tell(scheduler, controller, trial, 21, 0) == CONTINUE


def test_a_change_without_a_checkpoint_is_tried_again(
    policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler, controller, trial = make_run(policy)
    assert tell(scheduler, controller, trial, 5, 0) == NOOP
    controller.clones.clear()
    assert tell(scheduler, controller, trial, 6, 0) == NOOP
    assert "has no checkpoint" in caplog.text
    save(trial, 6)
    controller.carry_out()
    assert tell(scheduler, controller, trial, 7, 0) == CONTINUE


def test_values_that_json_cannot_hold_are_those_of_the_run(tmp_path: Path) -> None:
    logged = {"f": "<lambda>", "size": [1, 2], "opt": {"lr": 3, "object": "text"}, "new": 1}
    row = ["1", "0", 1, 1, logged, logged]
    function, thing = (lambda: 1), object()
    _, _, trial = make_run(
        write(tmp_path / "p.txt", [row]),
        f=function,
        size=(5, 6),
        opt={"lr": 1, "object": thing, "name": "sgd"},
    )
    assert trial.config == {
        "lr": 7,
        "f": function,
        "size": (1, 2),
        "opt": {"lr": 3, "object": thing, "name": "sgd"},
        "new": 1,
    }


def test_there_must_be_one_trial(policy: str) -> None:
    scheduler, controller, trial = make_run(policy)
    scheduler.on_trial_add(controller, trial)
    with pytest.raises(ValueError, match="one trial"):
        scheduler.on_trial_add(controller, make_trials({}, {})[1])
    search = BasicVariantGenerator()
    search.setup({}, 2)
    with pytest.raises(ValueError, match="one trial, but the run would have 2"):
        PopulationBasedTrainingReplay(policy).check_run({}, search)


def test_it_can_be_restored_in_the_middle(policy: str) -> None:
    scheduler, controller, trial = make_run(policy)
    tell(scheduler, controller, trial, 5, 0)
    controller.carry_out()
    controller.clones.clear()
    state = pickle.dumps(scheduler.get_state())
    again = PopulationBasedTrainingReplay(policy)
    again.set_state(pickle.loads(state))
    again.on_trial_add(controller, trial)
    assert trial.config == {"lr": 4}
    assert tell(again, controller, trial, 6, 0) == CONTINUE
    assert tell(again, controller, trial, 8, 0) == NOOP


@pytest.mark.parametrize("text", ["", "no json\n", "[1, 2]\n", '{"a": 1}\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="policy_file"):
        PopulationBasedTrainingReplay(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"policy_file.*cannot be read"):
        PopulationBasedTrainingReplay(str(tmp_path / "gone.txt"))


def test_a_simulated_run_changes_its_rate_on_the_way(policy: str) -> None:
    class Sloping(Climbing):
        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__({**config, "rate": config["lr"]})

    result = simulate(
        Sloping,
        {"lr": tune.uniform(10, 20)},
        metric="score",
        mode="max",
        scheduler=PopulationBasedTrainingReplay(policy),
        validate=True,
    )
    values = [event.value for event in result.events if event.what == "result"]
    rates = [after - before for before, after in zip([0, *values], values, strict=False)]
    assert rates == [1] * 5 + [4] * 3 + [8] * 4


# -- the suite of all -----------------------------------------------------------------------------


class TestReplay(SchedulerContract):
    most_trials = 1

    @pytest.fixture(autouse=True)
    def _policy(self, tmp_path: Path) -> None:
        self.path = tmp_path / "pbt_policy_one.txt"
        rows = [
            ["one@perturbed[lr=0.2]", "two", 3, 3, {"lr": 0.1}, {"lr": 0.2}],
            ["one@perturbed[lr=0.3]", "one", 6, 6, {"lr": 0.2}, {"lr": 0.3}],
        ]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make_scheduler(self) -> TrialScheduler:
        return PopulationBasedTrainingReplay(self.path)
