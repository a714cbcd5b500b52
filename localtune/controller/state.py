"""ControllerState: what a run does next, decided without doing anything.

::

      executor events --> handle(event) --+
                                          +--> instructions --> loop carries them out
      each turn ------> advance() --------+

      a trial:   create -> choose -> start/reset a worker -> [restore] -> train -> result
                 result -> stop conditions, scheduler -> [save] -> train | pause | complete
                 clone -> [wait for the donor's save] -> pause -> start with its checkpoint
                 failure -> retry (to the end of the queue) | error

The searcher, the scheduler and the stopper are asked here, and answer with values. Nothing in
this file waits, writes, or talks to a process.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.clock import Clock
from localtune.controller import failure
from localtune.controller import instructions as i
from localtune.controller.cloning import Clone, CloneTable, result_of_start
from localtune.controller.limits import FailureTally
from localtune.controller.metric_check import MetricCheck
from localtune.controller.settings import RunSettings
from localtune.controller.trial_factory import make_trial
from localtune.controller.view import Request, SchedulerView
from localtune.controller.workers import Phase, Worker, WorkerTable
from localtune.error import (
    LocaltuneInternalError,
    ResourceRequestError,
    TrialTimeoutError,
    TuneError,
)
from localtune.execution.executor import Capacity, Exited, Replied, WorkerEvent
from localtune.experiment.checkpoint_history import TrackedCheckpoint
from localtune.experiment.metric_analysis import update_metric_stats
from localtune.experiment.status import Status
from localtune.experiment.trial import Trial
from localtune.result import (
    CONFIG_PREFIX,
    DONE,
    EXPERIMENT_TAG,
    RESULT_DUPLICATE,
    SHOULD_CHECKPOINT,
    TIME_TOTAL_S,
    TRAINING_ITERATION,
    TRIAL_ID,
)
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.stopper.stopper import Stopper
from localtune.utils.dicts import flatten_dict
from localtune.worker import messages as m

CONTINUE, PAUSE, STOP, NOOP = "CONTINUE", "PAUSE", "STOP", "NOOP"

# Trials created in one turn: the first ones shall run before the last ones are thought up.
_CREATED_PER_TURN = 4

# How often, and how long, a searcher is asked that has nothing to suggest while no trial is left
# that it could learn from.
_POLL_S = 1.0
_POLLED_FOR_S = 600.0


class ControllerState:
    """A run, as a state machine.

    Args:
        settings: What was asked for.
        searcher: Where configurations come from.
        scheduler: Decides after each result.
        stopper: The run's stop conditions.
        capacity: What there is to share.
        clock: For the time budget.

    Attributes:
        trials: All trials in the order of their creation.
        error: What ended the run early, None if nothing did.
    """

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
        self._live: dict[str, Trial] = {}  # retried trials move to the end
        self._waiting_count = 0  # trials that are PENDING
        self._searcher_waits = False  # whether it had nothing to suggest when last asked
        self._polled_since: float | None = None  # since when that is all there is to wait for
        self._scheduler_waits = False  # whether it chose nobody when last asked
        self._workers = WorkerTable(capacity)
        self._clones = CloneTable()
        self._view = SchedulerView(
            self.trials, self._live, searcher, capacity.resources, self._is_saving
        )
        self._metric_check = MetricCheck(settings.metric)
        self._out: list[i.Instruction] = []
        self._deadline: float | None = None
        self._is_ending = False
        self._tally = FailureTally(settings.limits)
        # {trial id: when it is tried again} of trials that have failed and wait for that
        self._recovering: dict[str, float] = {}
        self._winding_down_until: float | None = None
        self._started: set[str] = set()  # ids of trials that this session has started
        self._warned: set[str] = set()
        self._may_reuse = settings.reuse_workers

    # -- questions ------------------------------------------------------------------------------

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
        times = []
        if self._deadline is not None:
            times.append(max(self._deadline - self._clock.monotonic(), 0.0))
        if self._polled_since is not None:
            times.append(_POLL_S)
        return min(times, default=None)

    def is_awaited(self, trial: Trial) -> bool:
        """Whether a trial has a worker."""
        return self._workers.of_trial(trial) is not None

    # -- stimuli --------------------------------------------------------------------------------

    def adopt(self, trials: list[Trial]) -> None:
        """Takes over the trials of an earlier session; unfinished ones will run."""
        self._clones.adopt(trials)
        for trial in trials:
            self.trials.append(trial)
            if trial.is_finished():
                continue
            self._live[trial.trial_id] = trial
            self._waiting_count += trial.status is Status.PENDING
            self._add_to_scheduler(trial)

    def handle(self, event: WorkerEvent) -> list[i.Instruction]:
        """Takes in what a worker did."""
        worker = self._workers.get(event.worker_id)
        if worker is None:
            raise LocaltuneInternalError(f"An event of a worker that has ended: {event!r}")
        if isinstance(event, Exited):
            self._on_exit(worker, event)
        elif isinstance(event, Replied) and worker.phase is not Phase.STOPPING:
            self._on_reply(worker, event.reply)
        return self._take()

    def advance(self) -> list[i.Instruction]:
        """Creates trials, starts those that may start, and sees whether the run is over."""
        if self._deadline is None and self._settings.time_budget_s:
            self._deadline = self._clock.monotonic() + self._settings.time_budget_s
        if not self._is_ending and self._is_over():
            self._end_all("the run's stop conditions are met")
        if not self._is_ending:
            self._end_overdue()
            self._retry_recovered()
        if not self._is_ending and self._winding_down_until is not None:
            self._wind_down()
        elif not self._is_ending:
            self._start_trials()
            known_count = len(self.trials)
            self._create_trials()
            if len(self.trials) > known_count:
                self._start_trials()
            self._check_standstill()
            self._release_idle()
        return self._take()

    def interrupt(self) -> list[i.Instruction]:
        """Ends the run early; unfinished trials keep their state, so that it can be resumed."""
        self._leave_off("the run was interrupted")
        return self._take()

    def wind_down(self, grace_s: float) -> list[i.Instruction]:
        """Ends the run early, but first lets the running trials write a checkpoint.

        Args:
            grace_s: Seconds after which those that have not are ended all the same.
        """
        if self._settings.can_save:
            self._winding_down_until = self._clock.monotonic() + grace_s
            for worker in self._workers:
                worker.pause_wanted = worker.trial is not None
        else:
            self._leave_off("the run was told to end")
        return self._take()

    def abort(self, error: BaseException) -> list[i.Instruction]:
        """Ends the run because something of the run itself (not a trial) failed."""
        self._abort(error)
        return self._take()

    def fail_start(self, worker_id: int, error: TuneError) -> list[i.Instruction]:
        """Takes in that a worker could not be started or given its trial."""
        worker = self._workers.get(worker_id)
        if worker is not None and worker.trial is not None:
            trial = worker.trial
            if worker.phase is Phase.RESETTING:
                self._dismiss(worker, "its trial cannot be sent")
            else:
                self._workers.remove(worker)
            self._fail(trial, error)
        return self._take()

    def forget_worker(self, worker_id: int) -> list[i.Instruction]:
        """Takes in that a worker was not started, because the run is ending."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._workers.remove(worker)
        return self._take()

    # -- creating and starting trials -----------------------------------------------------------

    def _can_create(self) -> bool:
        limit = self._settings.max_concurrent_trials
        return (
            self._waiting_count < self._lookahead()
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

    def _create_trials(self) -> None:
        self._searcher_waits = False
        for _ in range(_CREATED_PER_TURN):
            if self._is_ending or not self._can_create():
                return
            suggestion = self._guard("searcher", self._searcher.next_suggestion)
            if suggestion is None:
                self._searcher_waits = True
                return
            try:
                self._add_trial(make_trial(self._settings, suggestion, len(self.trials)))
            except (TuneError, ValueError) as error:
                self._abort(error)

    def _add_trial(self, trial: Trial) -> None:
        reason = self._workers.why_never(trial)
        if reason:
            raise ResourceRequestError(f"{trial} can never run. {reason}")
        self.trials.append(trial)
        self._live[trial.trial_id] = trial
        self._waiting_count += 1
        self._add_to_scheduler(trial)
        self._out.append(i.Persist(trial))

    def _add_to_scheduler(self, trial: Trial) -> None:
        self._guard("scheduler", lambda: self._scheduler.on_trial_add(self._view, trial))

    def _start_trials(self) -> None:
        while not self._is_ending:
            trial = self._guard(
                "scheduler", lambda: self._scheduler.choose_trial_to_run(self._view)
            )
            self._serve_requests(None)
            self._scheduler_waits = trial is None
            if trial is None or self._is_ending or not self._start(trial):
                return

    def _check_standstill(self) -> None:
        """Sees that nobody waits for what will not come."""
        if self._is_ending or self._recovering:
            return
        is_waiting_for_workers = self._workers.serving_count > 0
        if not self._live and not is_waiting_for_workers:
            self._watch_searcher()
            return
        self._polled_since = None
        if is_waiting_for_workers or self._can_go_on() or not self._scheduler_waits:
            return
        live_count = len(self._live)
        self._view.is_stuck = True
        self._start_trials()
        self._view.is_stuck = False
        if self._workers.serving_count > 0 or len(self._live) < live_count:
            # It let a trial go on, or ended one: it knew what to do.
            return
        waiting = next(iter(self._live.values()), None)
        if self._scheduler_waits and waiting is not None and not self._is_ending:
            self._warn_once(
                f"The scheduler {type(self._scheduler).__name__} lets {len(self._live)} trials "
                "wait, and nothing else is left to do: they go on, one after the other."
            )
            self._start(waiting)

    def _can_go_on(self) -> bool:
        """Whether a trial may come from the searcher without any further event."""
        return self._searcher.is_thinking or (self._can_create() and not self._searcher_waits)

    def _watch_searcher(self) -> None:
        """Asks a searcher again and again that is all there is to wait for, but not for ever."""
        if self._searcher.is_thinking:
            return
        if self._searcher.is_finished() or not self._searcher_waits:
            self._polled_since = None
            return
        now = self._clock.monotonic()
        if self._polled_since is None:
            self._polled_since = now
        elif now - self._polled_since > _POLLED_FOR_S:
            self._abort(
                TuneError(
                    f"The searcher {type(self._searcher).__name__} suggested nothing for "
                    f"{_POLLED_FOR_S:g} s while no trial was left to wait for. It must return a "
                    "configuration, or FINISHED if there is none any more."
                )
            )

    def _start(self, trial: Trial) -> bool:
        if trial.status not in (Status.PENDING, Status.PAUSED):
            self._abort(
                TuneError(
                    f"The scheduler {type(self._scheduler).__name__} chose the trial {trial} to "
                    f"run, which is {trial.status}: only pending and paused trials can start."
                )
            )
            return False
        # A run that is taken up again may have more trials than may run at once.
        if 0 < self._settings.max_concurrent_trials <= self._workers.serving_count:
            return False
        worker = self._workers.find_idle(trial) if self._may_reuse else None
        if worker is not None:
            self._workers.assign(worker, trial)
        else:
            worker = self._workers.hire(trial)
            if worker is None:
                for idle in self._workers.idle()[:1]:
                    self._dismiss(idle, "its resources are needed")
                return False
        self._move(trial, Status.RUNNING)
        worker.busy_since = self._clock.monotonic()
        is_first = trial.start_time is None
        if is_first:
            trial.start_time = self._clock.time()
        point = trial.resume_point
        kept_count = point.result_count if point is not None else 0
        is_known = trial.result_count == kept_count and trial.trial_id in self._started
        trial.result_count = kept_count
        self._started.add(trial.trial_id)
        self._out.append(i.PrepareTrial(trial, is_first, is_known))
        self._out.append(i.Persist(trial))
        environment: dict[str, str | None] = {}
        if self._workers.gpu_ids:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(worker.allocation.gpu_ids)
        if worker.phase is Phase.RESETTING:
            self._out.append(i.ResetWorker(worker.worker_id, trial, environment))
        else:
            cpus = worker.request.get("CPU", 0.0)
            self._out.append(i.StartWorker(worker.worker_id, trial, cpus, environment))
        return True

    def _release_idle(self) -> None:
        """Ends idle workers when no trial will ever want them."""
        if self._waiting_count or not self._searcher.is_finished():
            return
        if any(trial.status is Status.PAUSED for trial in self._live.values()):
            return
        for worker in self._workers.idle():
            self._dismiss(worker, "no trial is left for it")

    def drop_resume_point(self, trial: Trial) -> None:
        """Takes in that a trial's checkpoint is damaged: it goes on from the one before."""
        point = trial.resume_point
        if point is None:
            return
        if trial.start_point is not None:
            trial.start_point = None
            self._unpin(trial)
        else:
            trial.checkpoints.forget(point.tracked)
        before = trial.resume_point
        trial.result_count = before.result_count if before is not None else 0
        trial.last_result = result_of_start(trial) if before is not None else {}

    # -- limits ---------------------------------------------------------------------------------

    def _wind_down(self) -> None:
        """Ends the run when all running trials have been saved, or had their time."""
        assert self._winding_down_until is not None
        is_late = self._clock.monotonic() >= self._winding_down_until
        if is_late or not self._workers.serving_count:
            self._leave_off("the run was told to end")

    def _end_overdue(self) -> None:
        limits = self._settings.limits
        if limits.iteration_timeout_s is None and limits.trial_timeout_s is None:
            return
        now = self._clock.monotonic()
        for worker in self._workers:
            trial = worker.trial
            error = limits.overdue(worker, trial, now) if trial is not None else None
            if trial is not None and error is not None:
                self._dismiss(worker, "its trial takes too long", force=True)
                self._fail(trial, error)

    def _retry_recovered(self) -> None:
        if not self._recovering:
            return
        now = self._clock.monotonic()
        for trial_id in [each for each, due in self._recovering.items() if due <= now]:
            del self._recovering[trial_id]
            self._retry(self._live[trial_id])

    # -- replies --------------------------------------------------------------------------------

    def _on_reply(self, worker: Worker, reply: m.Reply) -> None:
        trial = worker.trial
        if trial is None:
            return
        if isinstance(reply, m.Trained):
            self._on_trained(worker, trial, reply)
        elif isinstance(reply, m.Saved):
            self._on_saved(worker, trial, reply)
        elif isinstance(reply, m.Ready):
            self._on_ready(worker, trial, reply.metrics)
        elif isinstance(reply, m.ResetDone):
            self._on_reset(worker, trial, reply)
        elif isinstance(reply, m.Restored):
            self._on_restored(worker, trial)
        elif isinstance(reply, m.Exported):
            self._complete(worker, trial)
        elif isinstance(reply, m.Failed):
            during = worker.phase
            self._dismiss(worker, f"its trial failed in {during.value}")
            self._fail(trial, failure.error_of_failed(reply, trial))

    def _on_ready(self, worker: Worker, trial: Trial, metrics: dict[str, Any]) -> None:
        if not trial.last_result:
            trial.last_result = {**metrics, CONFIG_PREFIX: trial.config}
        self._out.append(i.Notify("on_trial_start", trial))
        point = trial.resume_point
        if point is None:
            self._train(worker)
            return
        restore = m.Restore(point.tracked.checkpoint.path, point.tracked.metrics)
        self._command(worker, Phase.RESTORING, restore)

    def _on_restored(self, worker: Worker, trial: Trial) -> None:
        trial.last_result = result_of_start(trial)
        self._out.append(i.Notify("on_trial_restore", trial))
        self._train(worker)

    def _on_reset(self, worker: Worker, trial: Trial, reply: m.ResetDone) -> None:
        if reply.accepted:
            self._on_ready(worker, trial, reply.metrics)
            return
        if self._may_reuse:
            self._may_reuse = False
            self._warn_once(
                f"reuse_actors=True has no effect: {trial.trainable_name} refuses to be reset "
                "(its reset_config does not return True). Each trial gets a worker of its own."
            )
        self._dismiss(worker, "it refused to be reset")
        self._move(trial, Status.PENDING)

    def _on_trained(self, worker: Worker, trial: Trial, reply: m.Trained) -> None:
        result = reply.result
        is_duplicate = RESULT_DUPLICATE in result
        if is_duplicate:
            result = {**trial.last_result, DONE: True}
        else:
            result[CONFIG_PREFIX] = trial.config if reply.config is None else reply.config
        result[TRIAL_ID] = trial.trial_id
        flat = flatten_dict(result)
        if not is_duplicate:
            error = self._metric_check.error_of(trial, flat)
            if error is not None:
                self._abort(error)
                return
        decision = self._decide(trial, result, flat)
        if self._is_ending:
            return
        if decision == STOP:
            result[DONE] = flat[DONE] = True
        else:
            self._guard("searcher", lambda: self._searcher.on_trial_result(trial.trial_id, flat))
        if not is_duplicate:
            self._tally.note_result()
            if not trial.metric_stats:
                self._out.extend(map(i.Warn, self._stopper.missing_key_warnings(result)))
            self._out.append(i.Notify("on_trial_result", trial, {"result": dict(result)}))
            update_metric_stats(trial.metric_stats, flat)
            trial.result_count += 1
            self._out.append(i.Record(trial, trial.result_count, result))
        trial.last_result = result
        result[EXPERIMENT_TAG] = trial.experiment_tag
        trial.run_time_s = result.get(TIME_TOTAL_S) or trial.run_time_s
        decision = self._serve_requests(worker, decision)
        if worker.pause_wanted and decision == CONTINUE:
            decision = PAUSE
        worker.pause_wanted = False
        if worker.trial is not trial or self._is_ending:
            return
        is_save_wanted, worker.save_wanted = worker.save_wanted, False
        if decision == PAUSE or is_save_wanted or self._is_save_due(trial, result, is_duplicate):
            worker.decision = decision
            self._command(worker, Phase.SAVING, m.Save())
        else:
            self._act(worker, trial, decision)

    def _decide(self, trial: Trial, result: dict[str, Any], flat: dict[str, Any]) -> str:
        stops = self._guard("stopper", lambda: self._stopper(trial.trial_id, result))
        if stops or result.get(DONE):
            return STOP
        decision = self._guard(
            "scheduler", lambda: self._scheduler.on_trial_result(self._view, trial, flat)
        )
        if decision not in (CONTINUE, PAUSE, STOP, NOOP) and not self._is_ending:
            self._abort(
                TuneError(
                    f"The scheduler {type(self._scheduler).__name__} must decide CONTINUE, PAUSE, "
                    f"STOP or NOOP after a result, but returned {decision!r}."
                )
            )
        return str(decision)

    def _is_save_due(self, trial: Trial, result: dict[str, Any], is_duplicate: bool) -> bool:
        config = self._settings.checkpoint_config
        if result.get(DONE) and config.checkpoint_at_end:
            return True
        if is_duplicate:
            return False
        if result.get(SHOULD_CHECKPOINT):
            return True
        frequency = config.checkpoint_frequency or 0
        return frequency > 0 and result.get(TRAINING_ITERATION, 0) % frequency == 0

    def _on_saved(self, worker: Worker, trial: Trial, reply: m.Saved) -> None:
        trial.next_checkpoint_index = reply.next_index
        if reply.path is not None:
            self._register(trial, reply)
        self._out.append(i.Notify("on_trial_save", trial))
        decision, worker.decision = worker.decision, ""
        # Not yet free for somebody who waits for this checkpoint: the trial itself may be one.
        worker.phase = Phase.HELD
        self._serve_waiting(trial)
        if worker.trial is trial and not self._is_ending:
            self._act(worker, trial, decision)

    def _register(self, trial: Trial, reply: m.Saved) -> None:
        assert reply.path is not None
        point = trial.resume_point
        if point is not None and point.tracked.checkpoint.path == reply.path:
            # A function that has not reported a new checkpoint since.
            return
        checkpoint = Checkpoint.from_directory(reply.path)
        metrics = {**reply.metrics, CONFIG_PREFIX: trial.config}
        # A function's checkpoint may belong to an earlier iteration than its last result.
        reached = trial.last_result.get(TRAINING_ITERATION, 0)
        done_since = max(reached - metrics.get(TRAINING_ITERATION, reached), 0)
        tracked = TrackedCheckpoint(
            checkpoint,
            metrics,
            index=reply.next_index - 1,
            result_count=max(trial.result_count - done_since, 0),
            files=reply.files,
        )
        self._out.append(i.Notify("on_checkpoint", trial, {"checkpoint": checkpoint}))
        gone = trial.checkpoints.register(tracked)
        trial.start_point = None
        self._unpin(trial)
        # The record must not name a directory that is gone, nor miss one that is there.
        self._out.append(i.Persist(trial))
        self._out.extend(i.DeleteCheckpoint(each) for each in gone)

    # -- decisions ------------------------------------------------------------------------------

    def _act(self, worker: Worker, trial: Trial, decision: str) -> None:
        if decision == STOP:
            self._clones.give_up(trial)
            if self._settings.export_formats:
                self._command(worker, Phase.EXPORTING, m.Export(self._settings.export_formats))
            else:
                self._complete(worker, trial)
        elif self._clones.is_waiting(trial):
            worker.phase = Phase.HELD
        elif decision == PAUSE:
            self._pause(worker, trial)
        else:
            self._train(worker)

    def _serve_requests(self, current: Worker | None, decision: str = CONTINUE) -> str:
        """Carries out what the scheduler asked for; returns the decision for ``current``."""
        for request in self._view.take_requests():
            if request.trial.is_finished():
                continue
            worker = self._workers.of_trial(request.trial)
            if isinstance(request, Clone):
                self._clone(request, worker, is_current=worker is current)
            elif request.kind == "stop" and worker is not None and worker is current:
                decision = STOP
                request.trial.last_result[DONE] = True
            elif request.kind == "pause" and worker is not None and worker is current:
                if request.should_checkpoint:
                    decision = PAUSE
                else:
                    self._pause(worker, request.trial)
            else:
                self._serve(request, worker)
        return decision

    def _serve(self, request: Request, worker: Worker | None) -> None:
        """Carries out what was asked of a trial that has not just given a result."""
        trial = request.trial
        if worker is None:
            if request.kind == "stop":
                self._remove(trial)
            elif request.kind == "ready" and trial.status is Status.PAUSED:
                self._move(trial, Status.PENDING)
        elif request.kind == "stop":
            self._complete(worker, trial, in_flight=worker.phase is not Phase.HELD)
        elif request.kind == "save":
            worker.save_wanted = worker.phase is not Phase.HELD
        elif request.kind == "pause" and not request.should_checkpoint:
            self._pause(worker, trial, in_flight=worker.phase is not Phase.HELD)
        elif request.kind == "pause":
            worker.pause_wanted = True

    # -- clones ---------------------------------------------------------------------------------

    def _is_saving(self, trial: Trial) -> bool:
        worker = self._workers.of_trial(trial)
        return worker is not None and (worker.save_wanted or worker.phase is Phase.SAVING)

    def _clone(self, clone: Clone, worker: Worker | None, *, is_current: bool) -> None:
        """Lets a trial go on as another one: now, when that one is saved, or not at all."""
        trial = clone.trial
        if self._is_saving(clone.donor):
            self._clones.wait(clone)
        elif clone.donor.resume_point is not None:
            is_at_rest = worker is not None and (is_current or worker.phase is Phase.HELD)
            if worker is not None:
                self._pause(worker, trial, in_flight=not is_at_rest)
            released = self._clones.apply(clone)
            self._out.append(i.Persist(trial))
            self._forget_checkpoints(*released)

    def _serve_waiting(self, donor: Trial) -> None:
        """A donor has been saved, or will not be: those who waited for it go on."""
        for clone in self._clones.take_waiting(donor):
            worker = self._workers.of_trial(clone.trial)
            self._clone(clone, worker, is_current=False)
            is_held = worker is not None and worker.phase is Phase.HELD
            if worker is not None and is_held and clone.trial is not donor:
                self._train(worker)

    def _unpin(self, trial: Trial) -> None:
        self._forget_checkpoints(*self._clones.unpin(trial))

    def _forget_checkpoints(self, owner: Trial | None, gone: list[TrackedCheckpoint]) -> None:
        if owner is not None and gone:
            self._out.append(i.Persist(owner))
            self._out.extend(i.DeleteCheckpoint(each) for each in gone)

    # -- the ends of trials -----------------------------------------------------------------------

    def _complete(self, worker: Worker, trial: Trial, *, in_flight: bool = False) -> None:
        """A running trial ends well."""
        flat = flatten_dict(trial.last_result)
        self._release(worker, in_flight=in_flight, reason="its trial is complete")
        self._finish(trial, Status.TERMINATED)
        self._guard("scheduler", lambda: self._scheduler.on_trial_complete(self._view, trial, flat))
        self._guard(
            "searcher", lambda: self._searcher.on_trial_complete(trial.trial_id, result=flat)
        )
        self._out.append(i.Notify("on_trial_complete", trial))
        self._out.append(i.Persist(trial))
        self._serve_requests(None)

    def _remove(self, trial: Trial) -> None:
        """A trial that is not running ends well."""
        self._finish(trial, Status.TERMINATED)
        self._guard("scheduler", lambda: self._scheduler.on_trial_remove(self._view, trial))
        self._tell_searcher_of_end(trial)
        self._out.append(i.Notify("on_trial_complete", trial))
        self._out.append(i.Persist(trial))

    def _pause(self, worker: Worker, trial: Trial, *, in_flight: bool = False) -> None:
        self._release(worker, in_flight=in_flight, reason="its trial is paused")
        self._move(trial, Status.PAUSED)
        self._out.append(i.Persist(trial))

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._out.append(i.Warn(message))

    def _release(self, worker: Worker, *, in_flight: bool, reason: str) -> None:
        """Takes the worker from its trial: for the next one if that may be, else to end it."""
        if self._may_reuse and not in_flight and not self._is_ending:
            self._workers.detach(worker, Phase.IDLE)
        else:
            self._dismiss(worker, reason)

    def _dismiss(self, worker: Worker, reason: str, *, force: bool = False) -> None:
        if worker.phase is Phase.STOPPING:
            return
        self._workers.detach(worker, Phase.STOPPING)
        self._out.append(i.StopWorker(worker.worker_id, reason, force))

    # -- failures -------------------------------------------------------------------------------

    def _on_exit(self, worker: Worker, event: Exited) -> None:
        trial, phase = worker.trial, worker.phase
        self._workers.remove(worker)
        if trial is not None:
            self._fail(trial, failure.error_of_exit(event.exit, trial, phase.value))

    def _fail(self, trial: Trial, error: TuneError) -> None:
        trial.error = error
        trial.num_failures += 1
        self._clones.give_up(trial)
        self._serve_waiting(trial)
        self._out.append(i.WriteError(trial))
        self._guard("scheduler", lambda: self._scheduler.on_trial_error(self._view, trial))
        is_final = isinstance(error, TrialTimeoutError) and error.is_final
        if not trial.should_retry or is_final or self._is_ending:
            self._give_up(trial, error)
        else:
            self._move(trial, Status.ERROR)
            wait_s = self._settings.limits.retry_wait(trial.num_failures)
            if wait_s:
                self._recovering[trial.trial_id] = self._clock.monotonic() + wait_s
            else:
                self._retry(trial)
        self._serve_requests(None)

    def _retry(self, trial: Trial) -> None:
        self._move(trial, Status.PENDING)
        del self._live[trial.trial_id]
        self._live[trial.trial_id] = trial
        self._add_to_scheduler(trial)
        self._out.append(i.Notify("on_trial_recover", trial))
        self._out.append(i.Persist(trial))

    def _give_up(self, trial: Trial, error: TuneError) -> None:
        self._finish(trial, Status.ERROR)
        self._guard(
            "searcher", lambda: self._searcher.on_trial_complete(trial.trial_id, error=True)
        )
        self._out.append(i.Notify("on_trial_error", trial))
        self._out.append(i.Persist(trial))
        if self._settings.raise_first_error:
            self._abort(error)
        elif self._settings.fail_fast and not self._is_ending:
            self._end_all("a trial failed, and fail_fast is set")
        why = self._tally.note_failed_trial(trial, error)
        if why and not self._is_ending:
            self._out.append(i.Warn(why))
            self._leave_off("too many trials have failed")

    # -- the end of the run ---------------------------------------------------------------------

    def _abort(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
        self._leave_off("the run has failed")

    def _leave_off(self, reason: str) -> None:
        """Ends all workers; unfinished trials keep their state."""
        self._is_ending = True
        for worker in self._workers:
            self._dismiss(worker, reason)

    def _is_over(self) -> bool:
        if self._deadline is not None and self._clock.monotonic() >= self._deadline:
            return True
        return bool(self._guard("stopper", self._stopper.stop_all))

    def _end_all(self, reason: str) -> None:
        """Ends all trials at once; only the searcher is told, so that it can go on later."""
        self._is_ending = True
        for worker in self._workers:
            self._dismiss(worker, reason)
        for trial_id in self._recovering:
            self._move(self._live[trial_id], Status.PENDING)
        self._recovering.clear()
        for trial in list(self._live.values()):
            self._finish(trial, Status.TERMINATED)
            self._tell_searcher_of_end(trial)
            self._out.append(i.Persist(trial))

    def _tell_searcher_of_end(self, trial: Trial) -> None:
        self._guard("searcher", lambda: self._searcher.on_trial_complete(trial.trial_id))

    # -- small pieces ---------------------------------------------------------------------------

    def _train(self, worker: Worker) -> None:
        self._command(worker, Phase.TRAINING, m.Train())

    def _command(self, worker: Worker, phase: Phase, command: m.Command) -> None:
        worker.phase = phase
        worker.busy_since = self._clock.monotonic()
        self._out.append(i.Send(worker.worker_id, command))

    def _move(self, trial: Trial, status: Status) -> None:
        self._waiting_count += (status is Status.PENDING) - (trial.status is Status.PENDING)
        trial.set_status(status)

    def _finish(self, trial: Trial, status: Status) -> None:
        self._move(trial, status)
        if status is Status.TERMINATED:
            trial.error = None
        del self._live[trial.trial_id]
        self._clones.give_up(trial)
        trial.start_point = None
        self._unpin(trial)
        self._serve_waiting(trial)

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

    def _take(self) -> list[i.Instruction]:
        out, self._out = self._out, []
        return out

    def validate(self) -> None:
        """Checks what must always hold; for tests.

        Raises:
            LocaltuneInternalError: if something does not.
        """
        live = {trial.trial_id for trial in self.trials if not trial.is_finished()}
        live |= self._recovering.keys()
        pending = sum(trial.status is Status.PENDING for trial in self._live.values())
        problems = []
        if live != set(self._live):
            problems.append("the live trials are not those that have not ended")
        if pending != self._waiting_count:
            problems.append(f"{pending} trials are pending, but {self._waiting_count} are counted")
        for worker in self._workers:
            if (worker.trial is None) != (worker.phase in (Phase.IDLE, Phase.STOPPING)):
                problems.append(f"worker {worker.worker_id} has the wrong phase {worker.phase}")
            if worker.trial is not None and worker.trial.status is not Status.RUNNING:
                problems.append(f"{worker.trial} has a worker and is {worker.trial.status}")
        for trial in self._live.values():
            is_running = trial.status is Status.RUNNING
            if is_running and not self.is_awaited(trial) and not self._is_ending:
                problems.append(f"{trial} is running without a worker")
        if problems:
            raise LocaltuneInternalError("; ".join(problems))
