"""Whole runs in virtual time: to test schedulers, and to choose one before machine time is spent.

The controller and its loop are the real ones. The ports of the loop lead to no files, processes
and callbacks: they write down what happens.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from localtune.clock import Clock
from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.controller.controller import Controller
from localtune.controller.loop import ExperimentLoop
from localtune.controller.ports import Files, Notices, Ports, Records
from localtune.execution.simulated import SimulatedExecutor
from localtune.execution.simulated_cluster import SimulatedCluster, SimulatedNode
from localtune.execution.simulated_host import MakeTrainable
from localtune.resources import PlacementGroupFactory
from localtune.result import TIME_THIS_ITER_S, TRAINING_ITERATION
from localtune.running.build import build
from localtune.running.derive import make_settings
from localtune.running.specify import specify
from localtune.search.basic_variant import PREFIX_VARIABLE
from localtune.testing.simulation_result import SimulationEvent, SimulationResult, result_of
from localtune.trainable.trainable import Trainable
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.worker.program import WorkerProgram

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
    nodes: Sequence[SimulatedNode] | None = None,
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
        nodes: Nodes of a cluster that join and leave. They take the place of the three above.
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
        The trials and the events of the run.

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
    settings: dict[str, Any] = {
        "step_s": step_s,
        "start_s": start_s,
        "save_s": save_s,
        "restore_s": restore_s,
        "keep_in_memory": True,
    }
    executor: SimulatedExecutor
    if nodes is not None:
        executor = SimulatedCluster(make, nodes, **settings)
    else:
        settings.update(num_cpus=num_cpus, num_gpus=num_gpus, resources=resources)
        executor = SimulatedExecutor(make, **settings)
    with _same_ids():
        parts = build(spec)
        controller = Controller(
            make_settings(spec, _NOWHERE, parts.scheduler, parts.seed),
            parts.searcher,
            parts.scheduler,
            parts.stopper,
            executor,
            executor.clock,
        )
        check = controller.validate if validate else None
        log = SimulationLog(executor.clock, executor.forget_checkpoint, metric, check)
        executor.open(WorkerProgram(Trainable))
        ExperimentLoop(controller, Ports(log, log, log, executor)).run(controller.advance())
        executor.close()
    if controller.error is not None:
        raise controller.error
    return result_of(
        controller.trials,
        log.events,
        mode,
        trained_s=log.trained_s,
        elapsed_s=executor.clock.monotonic(),
    )


class SimulationLog(Records, Notices, Files):
    """The records, notices and files of a simulated run. Keeps the events in memory.

    Args:
        clock: For the times of events.
        forget: Gives up a checkpoint, by its path.
        metric: Name of the metric whose values the events hold.
        validate: Called after each turn of the loop; None calls nothing.

    Attributes:
        events: The events, in order.
        trained_s: Virtual seconds that all steps with a result took.
    """

    def __init__(
        self,
        clock: Clock,
        forget: Callable[[str], None],
        metric: str,
        validate: Callable[[], None] | None,
    ) -> None:
        self.events: list[SimulationEvent] = []
        self.trained_s = 0.0
        self._clock = clock
        self._forget = forget
        self._metric = metric
        self._validate = validate
        self._known: dict[str, tuple[Status, Any]] = {}  # {trial id: its status and config}

    # -- records ----------------------------------------------------------------------------------

    def is_from_before(self, trial: Trial) -> bool:
        return False  # No session came before this one.

    def persist(self, trial: Trial) -> None:
        # No hook tells of a new trial, a pause or another config.
        known = self._known.get(trial.trial_id)
        self._known[trial.trial_id] = (trial.status, trial.config)
        if known is None:
            self._note(trial.trial_id, "created")
            return
        if trial.config is not known[1]:
            self._note(trial.trial_id, "changed")
        if trial.status is Status.PAUSED and known[0] is not Status.PAUSED:
            self._note(trial.trial_id, "paused")

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        return  # The hook has told the result.

    def checkpoint_paths(self, trial: Trial) -> tuple[str, ...]:
        return ()

    def seconds_left(self) -> float | None:
        return None  # Nothing waits to be written.

    def secure(self, trial: Trial) -> None:
        return  # Nothing is written.

    def cut(self, trial: Trial) -> None:
        return  # Nothing is written.

    def write(self, *, sync: bool = False) -> None:
        return  # Nothing is written.

    def write_all(self) -> None:
        return  # Nothing is written.

    def rescue_results(self) -> None:
        return  # Nothing is written.

    # -- notices ----------------------------------------------------------------------------------

    def wants(self, hook: str) -> bool:
        return hook in _WHAT

    def waits_for(self, hook: str) -> bool:
        return False  # Trials that are simulated start when they are told to.

    def notify(self, hook: str, **arguments: Any) -> None:
        what = _WHAT.get(hook)
        if what is None:
            return
        trial_id = arguments["trial"].trial_id
        if what != "result":
            self._note(trial_id, what)
            return
        result = arguments["result"]
        self.trained_s += result[TIME_THIS_ITER_S]
        value = result.get(self._metric)
        if value is None and "/" in self._metric:
            value = flatten_dict(result).get(self._metric)
        self._note(trial_id, what, result[TRAINING_ITERATION], value)

    def log(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any]
    ) -> None:
        return  # The hook has told the result.

    def tick(self, trials: list[Trial]) -> None:
        if self._validate is not None:
            self._validate()

    def warn(self, message: str) -> None:
        self._note("", "warning: " + message)

    # -- files ------------------------------------------------------------------------------------

    def make(self, trial: Trial, *, is_resumed: bool) -> None:
        trial.dirname = trial.trial_id  # The directory is never made.

    def damage(self, tracked: TrackedCheckpoint) -> str:
        return ""  # Memory is not damaged.

    def remove_checkpoint(self, path: str) -> None:
        self._forget(path)

    def prepare(self, trial: Trial) -> None:
        return  # There is no directory.

    def remove_leftovers(self, trial: Trial, recorded: Iterable[str]) -> None:
        return  # There is no directory.

    def write_error(self, trial: Trial, time_s: float) -> None:
        return  # There is no directory.

    def _note(
        self, trial_id: str, what: str, iteration: int | None = None, value: Any = None
    ) -> None:
        now = self._clock.monotonic()
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
