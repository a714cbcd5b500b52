"""Which trials are created and started, and that nobody waits for what will not come."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.cloning import result_of_start
from localtune.controller.decisions import Decisions
from localtune.controller.trial_factory import make_trial
from localtune.controller.workers import Phase, Worker
from localtune.error import (
    ResourceRequestError,
    TuneError,
)
from localtune.search.search_algorithm import searcher_name
from localtune.trial.status import Status
from localtune.trial.trial import Trial

# Trials created in one turn: the first ones shall run before the last ones are thought up.
_CREATED_PER_TURN = 4

# How long a searcher is asked that suggests nothing while no trial is left that it could learn
# from.
_POLLED_FOR_S = 600.0


class Starting(Decisions):
    """Creates and starts trials as far as limits allow."""

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

    def _check_can_run(self, trial: Trial) -> None:
        reason = self._workers.why_never(trial)
        if reason:
            raise ResourceRequestError(f"{trial} can never run. {reason}")

    def _add_trial(self, trial: Trial) -> None:
        self._check_can_run(trial)
        self.trials.append(trial)
        self._live[trial.trial_id] = trial
        self._counts[Status.PENDING] += 1
        self._add_to_scheduler(trial)
        self._out.append(instructions.Persist(trial))

    def _start_trials(self) -> None:
        while not self._is_ending:
            trial = None
            if self._has_startable():
                trial = self._guard(
                    "scheduler", lambda: self._scheduler.choose_trial_to_run(self._view)
                )
            self._serve_requests()
            self._scheduler_waits = trial is None
            if trial is None or self._is_ending or not self._start(trial):
                return

    def _has_startable(self) -> bool:
        """Whether there is a trial among which a scheduler could choose."""
        return bool(self._counts[Status.PENDING] or self._counts[Status.PAUSED])

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
        if self._crowd_limit is not None and self._workers.serving_count >= self._crowd_limit:
            return False
        worker = self._workers.former(trial)
        if worker is not None and not self._can_serve_again(worker, trial):
            # Two processes must not work in one directory: when this one has gone.
            self._dismiss(worker, "its trial starts again")
            return False
        if worker is None and self._may_reuse:
            worker = self._workers.find_idle(trial)
        if worker is not None:
            self._workers.assign(worker, trial)
        else:
            worker = self._workers.hire(trial)
            if worker is None:
                if self._workers.is_full:
                    number = self._capacity.max_workers
                    most = "1 trial runs" if number == 1 else f"{number} trials run"
                    self._warn_once(f"No more than {most} at once: {self._capacity.why_no_more}.")
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
        self._out.append(instructions.PrepareTrial(trial, is_first, is_known))
        self._out.append(instructions.Persist(trial))
        environment: dict[str, str | None] = {}
        if self._workers.gpu_ids:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(worker.allocation.gpu_ids)
        if worker.phase is Phase.RESETTING:
            self._out.append(instructions.ResetWorker(worker.worker_id, trial, environment))
        else:
            cpus = worker.request.get("CPU", 0.0)
            self._out.append(instructions.StartWorker(worker.worker_id, trial, cpus, environment))
        return True

    def _can_serve_again(self, worker: Worker, trial: Trial) -> bool:
        is_idle = worker.phase is Phase.IDLE and self._may_reuse
        return is_idle and self._workers.suits(worker, trial)

    # -- standstill -------------------------------------------------------------------------------

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
                    f"The searcher {searcher_name(self._searcher)} suggested nothing for "
                    f"{_POLLED_FOR_S:g} s while no trial was left to wait for. It must return a "
                    "configuration, or FINISHED if there is none any more."
                )
            )

    def _release_idle(self) -> None:
        """Ends idle workers when no trial will ever want them."""
        if self._has_startable() or not self._searcher.is_finished():
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

    # -- limits -----------------------------------------------------------------------------------

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
                self._fail(worker, trial, error)

    def _retry_recovered(self) -> None:
        if not self._recovering:
            return
        now = self._clock.monotonic()
        for trial_id in [each for each, due in self._recovering.items() if due <= now]:
            del self._recovering[trial_id]
            self._retry(self._live[trial_id])
