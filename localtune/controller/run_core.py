"""What all parts of the state machine share: who is alive, who has a worker, what is wanted.

Bookkeeping and the smallest moves. What they add up to is decided in ``decisions.py``,
``starting.py`` and ``state.py``.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from localtune.clock import Clock
from localtune.controller import instructions
from localtune.controller.cloning import CloneTable
from localtune.controller.limits import FailureTally
from localtune.controller.metric_check import MetricCheck
from localtune.controller.settings import RunSettings
from localtune.controller.view import SchedulerView
from localtune.controller.workers import Phase, Worker, WorkerTable
from localtune.error import (
    TuneError,
)
from localtune.execution.executor import Capacity
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.stopper.stopper import Stopper
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages

CONTINUE, PAUSE, STOP, NOOP = "CONTINUE", "PAUSE", "STOP", "NOOP"

# How often a searcher is asked that has nothing to suggest, if that is all there is to wait for.
POLL_S = 1.0


def _name(metric: object) -> str | None:
    """A metric, if it is a single one: a searcher may have several."""
    return metric if isinstance(metric, str) else None


class RunCore:
    """The record of a run in progress; see :class:`~localtune.controller.state.ControllerState`."""

    def __init__(
        self,
        settings: RunSettings,
        searcher: SearchAlgorithm,
        scheduler: TrialScheduler,
        stopper: Stopper,
        capacity: Capacity,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._searcher = searcher
        self._scheduler = scheduler
        self._stopper = stopper
        self._clock = clock
        self.trials: list[Trial] = []
        self.error: BaseException | None = None
        self.is_stopper_spent = False  # whether the stop conditions have ended the run
        self._live: dict[str, Trial] = {}  # retried trials move to the end
        # How many of the live trials have each status: with thousands, nobody can count anew.
        self._counts: Counter[Status] = Counter()
        self._searcher_waits = False  # whether it had nothing to suggest when last asked
        self._polled_since: float | None = None  # since when that is all there is to wait for
        self._scheduler_waits = False  # whether it chose nobody when last asked
        self._capacity = capacity
        self._workers = WorkerTable(capacity)
        self._clones = CloneTable()
        self._view = SchedulerView(
            self.trials, self._live, searcher, capacity.resources, self._is_saving
        )
        self._metric_check = MetricCheck(
            settings.metric,
            _name(scheduler.metric),
            _name(searcher.metric),
            numbers=[*stopper.number_keys(), *scheduler.number_keys()],
        )
        self._out: list[instructions.Instruction] = []
        self._deciding: Worker | None = None  # whose result is being decided upon
        self._is_serving = False  # whether requests are being carried out
        self._deadline: float | None = None
        self._is_ending = False
        self._tally = FailureTally(settings.limits)
        # {trial id: when it is tried again} of trials that have failed and wait for that
        self._recovering: dict[str, float] = {}
        self._winding_down_until: float | None = None
        self._crowd_limit: int | None = None  # how many may run at once since one was too many
        self._started: set[str] = set()  # ids of trials that this session has started
        self._warned: set[str] = set()
        self._may_reuse = settings.reuse_workers

    # -- questions --------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do and no worker is left."""
        if len(self._workers):
            return False
        return self._is_ending or (not self._live and self._searcher.is_finished())

    @property
    def is_ending(self) -> bool:
        """Whether the run only waits for its workers to end."""
        return self._is_ending

    @property
    def has_work(self) -> bool:
        """Whether :meth:`advance` can go on at once, without waiting for an event."""
        return not self._is_ending and not self._searcher_waits and self._can_create()

    def seconds_left(self) -> float | None:
        """Time until :meth:`advance` has something to do without an event; None is never."""
        if self._is_ending:
            return None
        now = self._clock.monotonic()
        times = [max(due - now, 0.0) for due in self._recovering.values()]
        if self._deadline is not None:
            times.append(max(self._deadline - now, 0.0))
        if self._polled_since is not None:
            times.append(POLL_S)
        return min(times, default=None)

    def is_awaited(self, trial: Trial) -> bool:
        """Whether a trial has a worker."""
        return self._workers.of_trial(trial) is not None

    def trial_of(self, worker_id: int) -> Trial | None:
        """Whom a worker serves, None if it serves nobody or has ended."""
        worker = self._workers.get(worker_id)
        return worker.trial if worker is not None else None

    def _can_create(self) -> bool:
        limit = self._settings.max_concurrent_trials
        return (
            self._counts[Status.PENDING] < self._lookahead()
            and (limit <= 0 or len(self._live) < limit)
            and not self._searcher.is_finished()
        )

    def _lookahead(self) -> int:
        """How many trials may wait to run."""
        if not self._searcher.learns:
            return self._settings.lookahead
        # What is suggested too early is suggested knowing less; too late leaves a slot idle.
        ahead = max(self._workers.serving_count, 1) if self._searcher.is_slow else 1
        return min(ahead, self._settings.lookahead)

    def _add_to_scheduler(self, trial: Trial) -> None:
        self._guard("scheduler", lambda: self._scheduler.on_trial_add(self._view, trial))

    def _is_saving(self, trial: Trial) -> bool:
        worker = self._workers.of_trial(trial)
        return worker is not None and (worker.save_wanted or worker.phase is Phase.SAVING)

    # -- small moves ------------------------------------------------------------------------------

    def _command(self, worker: Worker, phase: Phase, command: messages.Command) -> None:
        worker.phase = phase
        worker.busy_since = self._clock.monotonic()
        self._out.append(instructions.Send(worker.worker_id, command))

    def _train(self, worker: Worker) -> None:
        self._command(worker, Phase.TRAINING, messages.Train())

    def _save(self, worker: Worker) -> None:
        worker.save_wanted = False
        self._command(worker, Phase.SAVING, messages.Save())

    def _release(self, worker: Worker, reason: str) -> None:
        """Takes the worker from its trial: for the next one if that may be, else to end it."""
        if self._may_reuse and worker.phase is Phase.AT_REST and not self._is_ending:
            self._workers.detach(worker, Phase.IDLE)
        else:
            self._dismiss(worker, reason)

    def _dismiss(self, worker: Worker, reason: str, *, force: bool = False) -> None:
        if worker.phase is Phase.STOPPING:
            return
        self._workers.detach(worker, Phase.STOPPING)
        self._out.append(instructions.StopWorker(worker.worker_id, reason, force))

    def _pause(self, worker: Worker, trial: Trial) -> None:
        is_ready = worker.is_ready
        self._release(worker, "its trial is paused")
        self._move(trial, Status.PAUSED)
        if is_ready:
            self._move(trial, Status.PENDING)
        self._out.append(instructions.Persist(trial))

    def _move(self, trial: Trial, status: Status) -> None:
        self._counts[trial.status] -= 1
        self._counts[status] += 1
        trial.set_status(status)

    def _warn_once(self, message: str, subject: str = "") -> None:
        """Warns unless there was a warning of the same subject, or the same one, before."""
        if (subject or message) not in self._warned:
            self._warned.add(subject or message)
            self._out.append(instructions.Warn(message))

    def _guard(self, who: str, call: Callable[[], Any]) -> Any:
        """Calls code that may be the user's; if it raises, the run ends in good order."""
        try:
            return call()
        except TuneError as error:
            self._abort(error)
        except Exception as error:
            problem = TuneError(
                f"The {who} raised {type(error).__name__}: {error}\n\n{traceback.format_exc()}"
            )
            problem.__cause__ = error
            self._abort(problem)
        return None

    def _abort(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._leave_off("the run has failed")

    def _leave_off(self, reason: str) -> None:
        """Ends all workers; unfinished trials keep their state."""
        self._is_ending = True
        self._clones.give_up_all()
        for worker in self._workers:
            worker.ends_with_save = (
                worker.phase is Phase.SAVING
                and worker.decision == STOP
                and not self._settings.export_formats
            )
            self._dismiss(worker, reason)
        for trial_id in self._recovering:
            self._move(self._live[trial_id], Status.PENDING)
            self._out.append(instructions.Persist(self._live[trial_id]))
        self._recovering.clear()

    def _take(self) -> list[instructions.Instruction]:
        out, self._out = self._out, []
        return out
