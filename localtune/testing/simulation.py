"""Whole runs in virtual time: to test schedulers, and to choose one before machine time is spent.

The controller is the real one. Around it is a loop without files, processes and callbacks, which
writes down what happens instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.execution.simulated import SimulatedExecutor
from localtune.execution.simulated_host import MakeTrainable
from localtune.resources import PlacementGroupFactory
from localtune.result import TIME_THIS_ITER_S, TRAINING_ITERATION
from localtune.running.build import build, make_settings
from localtune.running.specify import specify
from localtune.search.basic_variant import PREFIX_VARIABLE
from localtune.testing.simulation_result import SimulationEvent, SimulationResult, result_of
from localtune.trainable.trainable import Trainable
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.utils.dicts import flatten_dict
from localtune.utils.serialization import dumps
from localtune.worker import messages

# No directory of this name is ever made.
_NOWHERE = os.path.join(os.path.abspath(os.sep), "simulation")


def simulate(
    make: MakeTrainable,
    param_space: dict[str, Any] | None = None,
    *,
    metric: str,
    mode: str,
    scheduler: Any = None,
    search_alg: Any = None,
    num_samples: int = 1,
    num_cpus: float = 4,
    num_gpus: float = 0,
    resources: Mapping[str, float] | None = None,
    resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None,
    max_concurrent_trials: int | None = None,
    stop: Any = None,
    time_budget_s: float | None = None,
    max_failures: int = 0,
    checkpoint_config: CheckpointConfig | None = None,
    reuse_actors: bool = False,
    seed: int = 0,
    step_s: float = 1.0,
    start_s: float = 0.0,
    save_s: float = 0.0,
    restore_s: float = 0.0,
    validate: bool = False,
) -> SimulationResult:
    """Runs a sweep of simulated trainables in virtual time.

    Nothing is written, no process is started, and the same arguments give the same events.

    Args:
        make: Makes a simulated trainable of a configuration: a class or a function, see
            :class:`~localtune.execution.simulated_host.SimulatedTrainable`.
        param_space: The search space, see :class:`~localtune.Tuner`.
        metric: Metric to optimise.
        mode: ``"min"`` or ``"max"``.
        scheduler: A new scheduler, or its name; None runs each trial to its end.
        search_alg: A new search algorithm, or its name; None samples the search space.
        num_samples: See :class:`~localtune.TuneConfig`.
        num_cpus: CPUs to share, one per trial unless ``resources_per_trial`` says else.
        num_gpus: GPUs to share.
        resources: More to share, ``{name: amount}``.
        resources_per_trial: What each trial asks for.
        max_concurrent_trials: How many trials may be alive at once; None is no limit.
        stop: Stop conditions, see :class:`~localtune.RunConfig`.
        time_budget_s: Virtual seconds after which everything is stopped.
        max_failures: How often a trial is retried.
        checkpoint_config: See :class:`~localtune.CheckpointConfig`. The default keeps a trial's
            latest checkpoint only.
        reuse_actors: Whether workers go on to the next trial.
        seed: What everything drawn at random depends on.
        step_s: Virtual seconds of a step whose result has no ``time_this_iter_s``.
        start_s: Virtual seconds until a worker is ready.
        save_s: Virtual seconds that a checkpoint takes.
        restore_s: Virtual seconds to go back to one.
        validate: Whether to check the controller's invariants after each event. Costs time.

    Returns:
        What happened.

    Raises:
        ValueError: for arguments that make no sense.
        TuneError: if the run itself failed.

    Example:
        >>> from localtune.testing.curves import digits_curves
        >>> curves = digits_curves()
        >>> result = simulate(
        ...     curves.trainable, curves.param_space, metric="accuracy", mode="max", num_samples=8
        ... )
        >>> len(result.trials), result.iterations
        (8, 400)
    """
    spec = specify(
        _Simulated,
        param_space,
        TuneConfig(
            metric=metric,
            mode=mode,
            search_alg=search_alg,
            scheduler=scheduler,
            num_samples=num_samples,
            max_concurrent_trials=max_concurrent_trials,
            time_budget_s=time_budget_s,
            reuse_actors=reuse_actors,
            seed=seed,
        ),
        RunConfig(
            name="simulation",
            stop=stop,
            failure_config=FailureConfig(max_failures=max_failures),
            checkpoint_config=checkpoint_config or CheckpointConfig(num_to_keep=1),
        ),
        resources_per_trial=resources_per_trial,
    )
    executor = SimulatedExecutor(
        make,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        resources=resources,
        step_s=step_s,
        start_s=start_s,
        save_s=save_s,
        restore_s=restore_s,
        keep_in_memory=True,
    )
    with _same_ids():
        parts = build(spec)
        state = Controller(
            make_settings(spec, _NOWHERE, parts.scheduler, parts.seed),
            parts.searcher,
            parts.scheduler,
            parts.stopper,
            executor.capacity(),
            executor.clock,
        )
        simulation = Simulation(state, executor, metric, validate=validate)
        simulation.run()
    if state.error is not None:
        raise state.error
    return result_of(
        state.trials,
        simulation.events,
        mode,
        trained_s=simulation.trained_s,
        elapsed_s=executor.clock.monotonic(),
    )


class Simulation:
    """Runs a controller on a simulated executor, and writes down what happens.

    Args:
        state: Decides.
        executor: Not used before.
        metric: Whose value events name.
        validate: Whether to check the controller's invariants after each event.

    Attributes:
        events: What happened, in order.
        trained_s: Virtual seconds that all steps with a result took.
    """

    def __init__(
        self, state: Controller, executor: SimulatedExecutor, metric: str, *, validate: bool
    ) -> None:
        self.events: list[SimulationEvent] = []
        self.trained_s = 0.0
        self._state = state
        self._executor = executor
        self._metric = metric
        self._validate = validate
        self._known: dict[str, tuple[Status, Any]] = {}  # {trial id: its status and config}

    def run(self) -> None:
        """Runs until nothing is left to do."""
        state = self._state
        self._executor.open(b"")
        self._carry_out(state.advance())
        while not state.is_done:
            timeout_s = 0.0 if state.has_work else state.seconds_left()
            for event in self._executor.wait(timeout_s):
                self._carry_out(state.handle(event))
            self._carry_out(state.advance())
            if self._validate:
                state.validate()
        self._executor.close()

    def _carry_out(self, wanted: list[instructions.Instruction]) -> None:
        for instruction in wanted:
            if isinstance(instruction, instructions.Send):
                if not self._state.is_ending:
                    self._executor.send(instruction.worker_id, instruction.command)
            elif isinstance(instruction, instructions.Notify):
                self._note_hook(instruction)
            elif isinstance(instruction, instructions.Persist):
                self._note_change(instruction.trial)
            elif isinstance(instruction, instructions.PrepareTrial):
                if instruction.is_first:
                    instruction.trial.dirname = instruction.trial.trial_id
            elif isinstance(instruction, instructions.StartWorker):
                self._start(instruction)
            elif isinstance(instruction, instructions.ResetWorker):
                if not self._state.is_ending:
                    command = messages.Reset(_assignment(instruction.trial))
                    self._executor.send(instruction.worker_id, command)
            elif isinstance(instruction, instructions.StopWorker):
                self._executor.stop_worker(
                    instruction.worker_id, instruction.reason, force=instruction.force
                )
            elif isinstance(instruction, instructions.DeleteCheckpoint):
                self._executor.forget_checkpoint(instruction.tracked.checkpoint.path)
            elif isinstance(instruction, instructions.Warn):
                self._note("", "warning: " + instruction.message)

    def _start(self, instruction: instructions.StartWorker) -> None:
        if self._state.is_ending:
            self._carry_out(self._state.forget_worker(instruction.worker_id))
            return
        command = messages.Construct(_assignment(instruction.trial))
        self._executor.start_worker(instruction.worker_id, command, instruction.cpus)

    def _note_hook(self, notice: instructions.Notify) -> None:
        what = _WHAT.get(notice.hook)
        if what is None:
            return
        if what != "result":
            self._note(notice.trial.trial_id, what)
            return
        result = notice.extra["result"]
        self.trained_s += result[TIME_THIS_ITER_S]
        value = result.get(self._metric)
        if value is None and "/" in self._metric:
            value = flatten_dict(result).get(self._metric)
        self._note(notice.trial.trial_id, what, result[TRAINING_ITERATION], value)

    def _note_change(self, trial: Trial) -> None:
        """Notes what no hook tells: that a trial is there, is paused, has another config."""
        known = self._known.get(trial.trial_id)
        self._known[trial.trial_id] = (trial.status, trial.config)
        if known is None:
            self._note(trial.trial_id, "created")
            return
        if trial.config is not known[1]:
            self._note(trial.trial_id, "changed")
        if trial.status is Status.PAUSED and known[0] is not Status.PAUSED:
            self._note(trial.trial_id, "paused")

    def _note(
        self, trial_id: str, what: str, iteration: int | None = None, value: Any = None
    ) -> None:
        now = self._executor.clock.monotonic()
        self.events.append(SimulationEvent(now, trial_id, what, iteration, value))


_WHAT = {
    "on_trial_start": "started",
    "on_trial_result": "result",
    "on_trial_save": "saved",
    "on_trial_restore": "restored",
    "on_trial_recover": "retried",
    "on_trial_complete": "completed",
    "on_trial_error": "failed",
}


class _Simulated(Trainable):
    """Stands for the trainable in the experiment's description; it is never made."""

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tells that checkpoints are possible."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Tells that checkpoints are possible."""


def _assignment(trial: Trial) -> messages.Assignment:
    info = TrialInfo(
        trial_id=trial.trial_id,
        trial_name=str(trial),
        experiment_name=trial.experiment_dir_name,
        trial_dir=trial.path,
        experiment_dir=trial.experiment_path,
        resources=trial.placement_group_factory,
        seed=trial.try_seed,
    )
    storage = StorageContext(trial.experiment_path, trial.path, trial.next_checkpoint_index)
    return messages.Assignment(info, dumps(trial.config, f"The config of trial {trial}"), storage)


@contextlib.contextmanager
def _same_ids() -> Iterator[None]:
    """Fixes the part of trial ids that is random otherwise."""
    before = os.environ.get(PREFIX_VARIABLE)
    os.environ[PREFIX_VARIABLE] = "sim"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PREFIX_VARIABLE]
        else:
            os.environ[PREFIX_VARIABLE] = before
