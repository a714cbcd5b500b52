"""Every request in every phase of a worker: the tables of docs/controller.md, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localtune.config.checkpoint import CheckpointConfig
from localtune.resources import PlacementGroupFactory
from localtune.schedulers import FIFOScheduler
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.parts import Parts
from tests.controller.scripted_workers import FATES, FINISHES, Workers, make_controller, statuses

PAGE = Path(__file__).parents[2] / "docs" / "controller.md"
LAST = 9  # iterations of a trial that ends by itself


def tables() -> list[dict[tuple[str, str], str]]:
    """{(phase, request): consequence}, for each table of the page."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [
        {(row[0], head): cell for row in body for head, cell in zip(heads, row[1:], strict=True)}
        for (_, *heads), _, *body in filter(None, found)
    ]


REQUESTS, ENDS = tables()


class Patient(FIFOScheduler):
    """Decides as a test says, and lets paused trials wait as long as it says."""

    def __init__(self) -> None:
        self.decisions: dict[str, str] = {}  # {trial id: decision about its next result}
        self.is_patient = True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.decisions.pop(trial.trial_id, self.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        trial = super().choose_trial_to_run(tune_controller)
        if trial is not None and trial.status is Status.PAUSED and self.is_patient:
            return None
        return trial


@dataclass
class Scene:
    """A run with two trials. The first is a donor; the second is in the phase of interest."""

    workers: Workers
    donor: Trial
    trial: Trial
    scheduler: Patient

    @property
    def controller(self) -> Any:
        return self.workers.controller

    @property
    def command(self) -> messages.Command | None:
        """The command in flight of the trial's worker."""
        worker = self.controller.record.workers.of_trial(self.trial)
        return self.workers.in_flight[worker.worker_id] if worker is not None else None

    def step(self, trial: Trial | None = None, last_iteration: int = LAST) -> None:
        """One answer of the worker of the trial, or of another one."""
        worker = self.controller.record.workers.of_trial(trial or self.trial)
        self.workers.answer_well(worker.worker_id, last_iteration)

    def until(self, kind: type[messages.Command], trial: Trial | None = None) -> None:
        """Steps until a command of this kind is in flight."""
        trial = trial or self.trial
        for _ in range(20):
            worker = self.controller.record.workers.of_trial(trial)
            if worker is not None and isinstance(self.workers.in_flight[worker.worker_id], kind):
                return
            if worker is None:
                self.end_stopping()
            else:
                self.step(trial)
        raise AssertionError(f"there is no {kind.__name__}")

    def end_stopping(self, fate: str = FINISHES) -> None:
        """Those who were told to stop end."""
        for worker_id in list(self.workers.stopping):
            self.workers.exit(worker_id, fate=fate)
        self.workers.advance()

    def decide(self, decision: str) -> None:
        self.scheduler.decisions[self.trial.trial_id] = decision

    def ask(self, request: str) -> None:
        view = self.controller._deciders.view
        if request == "clone":
            view.clone_trial(self.trial, self.donor, config={"lr": 7}, experiment_tag="cloned")
        elif request == "ready":
            view._set_trial_status(self.trial, "PENDING")
        elif request == "pause unsaved":
            view.pause_trial(self.trial, should_checkpoint=False)
        else:
            getattr(view, f"{request}_trial")(self.trial)
        self.controller._requests.serve()
        self.workers.carry_out(self.controller._out.take())


def make_scene(**options: Any) -> Scene:
    scheduler = Patient()
    options = {"cpus": 2, "max_failures": -1, "clock": ManualClock(), **options}
    options.setdefault("checkpoint_config", CheckpointConfig(checkpoint_at_end=True))
    workers = Workers(make_controller(2, scheduler=scheduler, **options))
    workers.advance()
    donor = workers.controller.trials[0]
    scene = Scene(workers, donor, donor, scheduler)
    # The donor has a checkpoint, and goes on.
    scene.ask("save")
    scene.until(messages.Save)
    scene.step()
    scene.trial = workers.controller.trials[-1]
    return scene


def pending() -> Scene:
    scene = make_scene(cpus=1)
    assert scene.trial is not scene.donor and scene.trial.status is Status.PENDING
    return scene


def starting() -> Scene:
    return make_scene()


def resetting() -> Scene:
    scene = make_scene(cpus=1, reuse_workers=True)
    for _ in range(2 * LAST):
        if isinstance(scene.command, messages.Reset):
            return scene
        scene.step(scene.donor)
        scene.workers.advance()
    raise AssertionError("there is no reset")


def restoring() -> Scene:
    scene = paused()
    scene.scheduler.is_patient = False
    scene.workers.advance()
    scene.until(messages.Restore)
    scene.scheduler.is_patient = True
    return scene


def training() -> Scene:
    scene = make_scene()
    scene.until(messages.Train)
    return scene


def saving() -> Scene:
    scene = training()
    scene.ask("save")
    scene.until(messages.Save)
    return scene


def saving_last() -> Scene:
    scene = training()
    scene.step(last_iteration=1)
    assert isinstance(scene.command, messages.Save)
    return scene


def exporting() -> Scene:
    scene = make_scene(export_formats=["model"])
    scene.until(messages.Train)
    scene.step(last_iteration=1)
    scene.until(messages.Export)
    return scene


def waiting_for_a_donor() -> Scene:
    scene = training()
    view = scene.controller._deciders.view
    view.save_trial(scene.donor)
    scene.controller._requests.serve()
    scene.until(messages.Save, scene.donor)
    scene.decide("NOOP")
    view.clone_trial(scene.trial, scene.donor, config={"lr": 7}, experiment_tag="cloned")
    scene.step()
    assert scene.command is None
    return scene


def paused() -> Scene:
    scene = training()
    scene.decide("PAUSE")
    scene.until(messages.Save)
    scene.step()
    scene.end_stopping()
    return scene


def leaving() -> Scene:
    scene = training()
    scene.ask("pause unsaved")
    assert scene.workers.stopping
    return scene


def waiting_to_retry() -> Scene:
    scene = make_scene(retry_wait_s=100.0)
    scene.until(messages.Train)
    worker = scene.controller.record.workers.of_trial(scene.trial)
    scene.workers.exit(worker.worker_id, -9)
    assert scene.trial.status is Status.ERROR
    return scene


PHASES: dict[str, Callable[[], Scene]] = {
    make.__name__.replace("_", " "): make
    for make in (
        pending,
        paused,
        leaving,
        waiting_to_retry,
        starting,
        resetting,
        restoring,
        training,
        saving,
        saving_last,
        exporting,
        waiting_for_a_donor,
    )
}


def check_outcome(scene: Scene, cell: str, before: Status) -> None:
    """Sees that what the cell says happens; the first word at once, unless it says when."""
    trial = scene.trial
    number = len(trial.checkpoints)
    what, _, when = cell.partition(" after ")
    if what == "-":
        assert trial.status is before and trial.config != {"lr": 7}
        return
    if what == "may start":
        assert trial.status is Status.PENDING
        return
    if what == "waits":
        assert scene.controller.record.clones.is_wanted(trial) and scene.command is None
        return
    if when:
        assert trial.status is Status.RUNNING and trial.config != {"lr": 7}
    if when == "the step":
        scene.until(messages.Train)
        scene.step()
    if when or what == "saves":
        assert isinstance(scene.command, messages.Save)
        scene.step()
        assert len(trial.checkpoints) == number + 1
    expected = {"ends": Status.TERMINATED, "pauses": Status.PAUSED, "saves": Status.RUNNING}
    if what == "clones":
        assert trial.config == {"lr": 7} and trial.is_cloned
        assert trial.checkpoint is not None and scene.donor.checkpoint is not None
        assert trial.checkpoint.path == scene.donor.checkpoint.path
        assert trial.status in (Status.PAUSED, before)
    else:
        assert trial.status is expected[what]


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize(("phase", "request_"), REQUESTS)
def test_a_request_is_served_as_the_page_says(phase: str, request_: str, fate: str) -> None:
    scene = PHASES[phase]()
    before = scene.trial.status
    scene.ask(request_)
    check_outcome(scene, REQUESTS[phase, request_], before)
    run_to_the_end(scene, fate)
    assert statuses(scene.controller) == [Status.TERMINATED] * 2
    assert scene.trial.num_failures == (phase == "waiting to retry")


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("phase", sorted(PHASES))
def test_other_resources_are_for_trials_that_wait_and_hold_at_their_next_start(
    phase: str, reuse: bool
) -> None:
    scene = PHASES[phase]()
    scene.controller.record.may_reuse_workers = reuse
    trial = scene.trial
    if trial.status not in (Status.PENDING, Status.PAUSED):
        with pytest.raises(ValueError, match="resources"):
            trial.update_resources({"cpu": 0.5})
    else:
        trial.update_resources({"cpu": 0.5})
        scene.scheduler.is_patient = False
        for _ in range(20):
            worker = scene.controller.record.workers.of_trial(trial)
            if worker is not None:
                break
            scene.end_stopping()
            if scene.controller.record.workers.of_trial(scene.donor) is not None:
                scene.step(scene.donor)
            scene.workers.advance()
        assert worker is not None and worker.slot.cpus == 0.5
    run_to_the_end(scene, FINISHES)
    assert statuses(scene.controller) == [Status.TERMINATED] * 2


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize(("phase", "end"), [key for key, cell in ENDS.items() if cell])
def test_the_end_of_a_run_and_failures_act_as_on_the_page(phase: str, end: str, fate: str) -> None:
    scene = PHASES[phase]()
    controller, trial, workers = scene.controller, scene.trial, scene.workers
    number, failures = len(trial.checkpoints), trial.num_failures
    if end == "worker dies":
        worker = controller.record.workers.of_trial(trial) or controller.record.workers.former(
            trial
        )
        workers.exit(worker.worker_id, -9, fate=fate if fate != FINISHES else FATES[-1])
    elif end == "left off":
        workers.carry_out(controller.interrupt())
    elif end == "wound down":
        workers.carry_out(controller.wind_down(grace_s=60.0))
    else:
        controller._endings._shutdown.cut_short("the test says so")
        workers.carry_out(controller._out.take())
    if end != "worker dies":
        run_to_the_end(scene, fate)
    cell = ENDS[phase, end]
    status, _, saved = cell.removeprefix("was ").partition(", ")
    if saved and fate != FINISHES and end != "wound down":
        # The worker was killed in the middle of its save.
        status, saved = "RUNNING", ""
        cell = "was RUNNING" if end == "cut short" else cell
    if status == "retried":
        assert trial.status is Status.PENDING and trial.num_failures == failures + 1
        run_to_the_end(scene, fate)
        assert statuses(controller) == [Status.TERMINATED] * 2
        return
    assert (trial.status, trial.cut_short) == (
        (Status.TERMINATED, Status(status)) if cell.startswith("was") else (Status(status), None)
    )
    assert len(trial.checkpoints) == number + bool(saved)


def run_to_the_end(scene: Scene, fate: str) -> None:
    """All goes on; the disk is compared with the records whenever no worker runs."""
    scene.scheduler.is_patient = False
    scene.workers.run_well(fate=fate, last_iteration=LAST)
    slots = scene.controller.record.workers._placement
    assert slots.reserve(PlacementGroupFactory([{"CPU": slots.resources()["CPU"]}])) is not None
    for trial in scene.controller.trials:
        scene.workers.disk.check(trial)


def test_the_page_knows_every_phase() -> None:
    assert {phase for phase, _ in REQUESTS} == PHASES.keys() - {"saving last"}
    assert {phase for phase, _ in ENDS} == PHASES.keys()


# -- the part alone --------------------------------------------------------------------------------


def test_requests_are_carried_out_in_order_and_those_about_ended_trials_are_dropped() -> None:
    parts = Parts(2)
    (worker, first), (_, second) = parts.add_running(), parts.add_running()
    parts.view.save_trial(first)
    parts.view.stop_trial(second)
    parts.view.pause_trial(second)
    parts.requests.serve()
    assert worker.save_wanted and parts.record.is_saving(first)
    assert second.status is Status.TERMINATED
    assert parts.requests.waiting == [] and parts.kinds() == ["StopWorker", "Notify", "Persist"]


def test_requests_are_dropped_when_the_run_is_ending() -> None:
    parts = Parts()
    trial = parts.add_trial()
    parts.view.stop_trial(trial)
    parts.shutdown.leave_off("enough")
    parts.requests.serve()
    assert trial.status is Status.PENDING and parts.requests.waiting == []
