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
these files waits, writes, or talks to a process::

      run_core.py    the record: who lives, who has a worker, the smallest moves
      decisions.py   what becomes of trials: requests, clones, ends, failures
      starting.py    who is created and started; limits of time; standstills
      state.py       what workers report, and the way in
"""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.controller import failure, instructions
from localtune.controller.cloning import result_of_start
from localtune.controller.run_core import CONTINUE, NOOP, PAUSE, STOP
from localtune.controller.starting import Starting
from localtune.controller.view import Request
from localtune.controller.workers import Phase, Worker
from localtune.error import (
    LocaltuneInternalError,
    TrialError,
    TuneError,
    WorkerStartError,
)
from localtune.execution.executor import Exited, Replied, WorkerEvent
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
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.metric_analysis import update_metric_stats
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.worker import messages


class ControllerState(Starting):
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

    # -- stimuli ----------------------------------------------------------------------------------

    def adopt(self, trials: list[Trial]) -> None:
        """Takes over the trials of an earlier session; unfinished ones will run.

        Raises:
            ResourceRequestError: if one asks for what this machine does not have.
        """
        self._clones.adopt(trials)
        for trial in trials:
            self.trials.append(trial)
            if trial.is_finished():
                continue
            self._check_can_run(trial)
            self._live[trial.trial_id] = trial
            self._counts[trial.status] += 1
            self._add_to_scheduler(trial)

    def handle(self, event: WorkerEvent) -> list[instructions.Instruction]:
        """Takes in what a worker did."""
        worker = self._workers.get(event.worker_id)
        if worker is None:
            raise LocaltuneInternalError(f"An event of a worker that has ended: {event!r}")
        if isinstance(event, Exited):
            self._on_exit(worker, event)
        elif isinstance(event, Replied):
            self._take_in(worker, event.reply)
        return self._take()

    def advance(self) -> list[instructions.Instruction]:
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

    def interrupt(self) -> list[instructions.Instruction]:
        """Ends the run early; unfinished trials keep their state, so that it can be resumed."""
        self._leave_off("the run was interrupted")
        return self._take()

    def wind_down(self, grace_s: float) -> list[instructions.Instruction]:
        """Ends the run early, but first lets the running trials write a checkpoint.

        Args:
            grace_s: Seconds after which those that have not are ended all the same.
        """
        if self._settings.can_save:
            self._winding_down_until = self._clock.monotonic() + grace_s
            for worker in self._workers:
                if worker.trial is not None:
                    is_paused_anyway = worker.pause_wanted or worker.decision == PAUSE
                    self._serve(Request("pause", worker.trial))
                    # It does not wait for its scheduler when the run is taken up again.
                    worker.is_ready = worker.is_ready or not is_paused_anyway
        else:
            self._leave_off("the run was told to end")
        return self._take()

    def abort(self, error: BaseException) -> list[instructions.Instruction]:
        """Ends the run because something of the run itself (not a trial) failed."""
        self._abort(error)
        return self._take()

    def fail_start(self, worker_id: int, error: TuneError) -> list[instructions.Instruction]:
        """Takes in that a worker could not be started or given its trial."""
        worker = self._workers.get(worker_id)
        if worker is not None and worker.trial is not None:
            trial = worker.trial
            if worker.phase is Phase.RESETTING:
                self._dismiss(worker, "its trial cannot be sent")
            else:
                self._workers.remove(worker)
            is_shortage = isinstance(error, WorkerStartError) and error.is_shortage
            if not (is_shortage and self._put_off(trial, str(error))):
                self._fail(worker, trial, error)
        return self._take()

    def close(self) -> None:
        """Tells the searcher, whose state has been kept, that unfinished trials do not go on.

        The same searcher may serve another run.
        """
        for trial in self.trials:
            if trial.trial_id in self._live or trial.cut_short is not None:
                self._tell_searcher_of_end(trial)

    def fail_trial(self, trial: Trial, error: TrialError) -> list[instructions.Instruction]:
        """Takes in that something which the run did on behalf of a trial went wrong.

        A trial that has ended, or that the end of the run has left off, stays as it is.
        """
        worker = self._workers.of_trial(trial)
        if self._is_ending or trial.is_finished():
            self._out.append(instructions.Warn(failure.warning_of(error, trial)))
        else:
            if worker is not None:
                self._dismiss(worker, "its trial has failed")
            self._fail(worker, trial, error)
        return self._take()

    def forget_worker(self, worker_id: int) -> list[instructions.Instruction]:
        """Takes in that a worker was not started, because the run is ending."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            self._workers.remove(worker)
        return self._take()

    # -- replies ----------------------------------------------------------------------------------

    def _take_in(self, worker: Worker, reply: messages.Reply) -> None:
        trial, during = worker.trial, worker.phase
        try:
            self._on_reply(worker, reply)
        except Exception as fault:
            is_served = trial is not None and worker.trial is trial and not self._is_ending
            if trial is None or not is_served or isinstance(fault, LocaltuneInternalError):
                raise
            self._dismiss(worker, "its answer could not be taken in")
            what = f"the answer of its {during.value} could not be taken in"
            self._fail(worker, trial, failure.error_of_fault(fault, trial, what))

    def _on_reply(self, worker: Worker, reply: messages.Reply) -> None:
        trial = worker.trial
        if worker.phase is Phase.STOPPING and worker.former is not None:
            if isinstance(reply, messages.Saved):
                # It was on its way: the trial can go on from there.
                self._take_in_save(worker.former, reply)
                if worker.ends_with_save:
                    self._end_well(worker.former)
            return
        if trial is None:
            return
        during, worker.phase = worker.phase, Phase.AT_REST
        if isinstance(reply, messages.Trained):
            self._on_trained(worker, trial, reply)
        elif isinstance(reply, messages.Saved):
            self._on_saved(worker, trial, reply)
        elif isinstance(reply, messages.Ready):
            self._on_ready(worker, trial, reply.metrics)
        elif isinstance(reply, messages.ResetDone):
            self._on_reset(worker, trial, reply)
        elif isinstance(reply, messages.Restored):
            self._on_restored(worker, trial)
        elif isinstance(reply, messages.Exported):
            self._complete(worker, trial)
        elif isinstance(reply, messages.Failed):
            self._dismiss(worker, f"its trial failed in {during.value}")
            self._fail(worker, trial, failure.error_of_failed(reply, trial))

    def _on_ready(self, worker: Worker, trial: Trial, metrics: dict[str, Any]) -> None:
        if not trial.last_result:
            trial.last_result = {**metrics, CONFIG_PREFIX: trial.config}
        self._out.append(instructions.Notify("on_trial_start", trial))
        point = trial.resume_point
        if point is None:
            self._train(worker)
            return
        # The worker has the config, and may be the only one who can load what is in it.
        metrics = {k: v for k, v in point.tracked.metrics.items() if k != CONFIG_PREFIX}
        restore = messages.Restore(point.tracked.checkpoint.path, metrics)
        self._command(worker, Phase.RESTORING, restore)

    def _on_restored(self, worker: Worker, trial: Trial) -> None:
        trial.last_result = result_of_start(trial)
        self._out.append(instructions.Notify("on_trial_restore", trial))
        self._train(worker)

    def _on_reset(self, worker: Worker, trial: Trial, reply: messages.ResetDone) -> None:
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

    def _on_trained(self, worker: Worker, trial: Trial, reply: messages.Trained) -> None:
        result = reply.result
        is_duplicate = RESULT_DUPLICATE in result
        if is_duplicate:
            result = {**trial.last_result, DONE: True}
        else:
            result[CONFIG_PREFIX] = _config_of(trial, reply)
        result[TRIAL_ID] = trial.trial_id
        flat = flatten_dict(result)
        if not is_duplicate:
            odd = self._metric_check.odd_value_of(trial, flat, result)
            if odd is not None:
                self._dismiss(worker, "its trial has given an odd result")
                self._fail(worker, trial, odd)
                return
            error = self._metric_check.error_of(trial, flat)
            if error is not None:
                self._abort(error)
                return
        worker.decision = self._decide(worker, trial, result, flat)
        if self._is_ending:
            return
        if worker.decision == STOP:
            result[DONE] = flat[DONE] = True
        else:
            self._guard("searcher", lambda: self._searcher.on_trial_result(trial.trial_id, flat))
        if not is_duplicate:
            self._tally.note_result()
            if not trial.metric_stats:
                self._out.extend(map(instructions.Warn, self._stopper.missing_key_warnings(result)))
            self._out.append(
                instructions.Notify("on_trial_result", trial, {"result": dict(result)})
            )
            update_metric_stats(trial.metric_stats, flat)
            trial.result_count += 1
            self._out.append(instructions.Record(trial, trial.result_count, result))
        trial.last_result = result
        result[EXPERIMENT_TAG] = trial.experiment_tag
        trial.run_time_s = result.get(TIME_TOTAL_S) or trial.run_time_s
        self._deciding = worker
        try:
            self._serve_requests()
        finally:
            self._deciding = None
        if worker.pause_wanted and worker.decision != STOP:
            worker.decision, worker.save_wanted = PAUSE, True
        worker.pause_wanted = False
        if self._is_ending:
            return
        if worker.save_wanted or self._is_save_due(trial, result, is_duplicate):
            self._save(worker)
        else:
            self._go_on(worker, trial)

    def _decide(
        self, worker: Worker, trial: Trial, result: dict[str, Any], flat: dict[str, Any]
    ) -> str:
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
        worker.is_unwanted = decision == STOP
        worker.save_wanted |= decision == PAUSE
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

    def _on_saved(self, worker: Worker, trial: Trial, reply: messages.Saved) -> None:
        self._take_in_save(trial, reply)
        if worker.decision == STOP:
            self._clones.give_up(trial)
        self._serve_waiting(trial)
        if worker.trial is trial and not self._is_ending:
            self._go_on(worker, trial)

    def _take_in_save(self, trial: Trial, reply: messages.Saved) -> None:
        trial.next_checkpoint_index = reply.next_index
        if reply.path is not None:
            self._register(trial, reply)
        if self._is_heard_of(trial):
            self._out.append(instructions.Notify("on_trial_save", trial))

    def _is_heard_of(self, trial: Trial) -> bool:
        """Whether the callbacks have not been told that a trial has ended."""
        return trial.trial_id in self._live or trial.cut_short is not None

    def _register(self, trial: Trial, reply: messages.Saved) -> None:
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
        if self._is_heard_of(trial):
            self._out.append(
                instructions.Notify("on_checkpoint", trial, {"checkpoint": checkpoint})
            )
        gone = trial.checkpoints.register(tracked)
        trial.start_point = None
        self._unpin(trial)
        # The record must not name a directory that is gone, nor miss one that is there.
        self._out.append(instructions.Persist(trial))
        self._out.extend(instructions.DeleteCheckpoint(each) for each in gone)

    def _on_exit(self, worker: Worker, event: Exited) -> None:
        trial, former, phase = worker.trial, worker.former, worker.phase
        self._workers.remove(worker)
        left = trial or former
        if left is not None:
            self._out.append(instructions.TidyTrial(left))
        if trial is not None:
            if event.exit.no_room and self._put_off(trial, event.exit.describe()):
                return
            if event.exit.out_of_memory:
                self._thin_out("Memory ran short")
            self._fail(worker, trial, failure.error_of_exit(event.exit, trial, phase.value))

    def _put_off(self, trial: Trial, why: str) -> bool:
        """Lets a trial for which the system has no room wait, if room will come."""
        if not self._workers.serving_count:
            return False
        self._thin_out(why)
        self._move(trial, Status.PENDING)
        self._out.append(instructions.Persist(trial))
        return True

    def _thin_out(self, why: str) -> None:
        """One trial more was too many: from now on no more than now run at once."""
        self._crowd_limit = max(self._workers.serving_count, 1)
        self._warn_once(
            f"{why}: from now on no more than {self._crowd_limit} of the trials run at once.",
            subject=why,
        )

    # -- the end of the run -----------------------------------------------------------------------

    def _is_over(self) -> bool:
        if self._deadline is not None and self._clock.monotonic() >= self._deadline:
            return True
        self.is_stopper_spent = bool(self._guard("stopper", self._stopper.stop_all))
        return self.is_stopper_spent

    def validate(self) -> None:
        """Checks what must always hold; for tests.

        Raises:
            LocaltuneInternalError: if something does not.
        """
        live = {trial.trial_id for trial in self.trials if not trial.is_finished()}
        live |= self._recovering.keys()
        problems = []
        if live != set(self._live):
            problems.append("the live trials are not those that have not ended")
        for status in (Status.PENDING, Status.PAUSED):
            count = sum(trial.status is status for trial in self._live.values())
            if count != self._counts[status]:
                problems.append(f"{count} trials are {status}, not {self._counts[status]}")
        for worker in self._workers:
            if (worker.trial is None) != (worker.phase in (Phase.IDLE, Phase.STOPPING)):
                problems.append(f"worker {worker.worker_id} has the wrong phase {worker.phase}")
            former = worker.former
            if former is not None and self._workers.of_trial(former) is not None:
                problems.append(f"two workers are in the directory of {former}")
            if worker.trial is not None and worker.trial.status is not Status.RUNNING:
                problems.append(f"{worker.trial} has a worker and is {worker.trial.status}")
        for trial in self._live.values():
            is_running = trial.status is Status.RUNNING
            if is_running and not self.is_awaited(trial) and not self._is_ending:
                problems.append(f"{trial} is running without a worker")
        if problems:
            raise LocaltuneInternalError("; ".join(problems))


def _config_of(trial: Trial, reply: messages.Trained) -> dict[str, Any]:
    """The config that a result was made with: user code may have changed its own copy."""
    if not reply.changed_config and not reply.removed_config:
        return trial.config
    config = {**trial.config, **reply.changed_config}
    for key in reply.removed_config:
        config.pop(key, None)
    return config
