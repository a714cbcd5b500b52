"""What becomes of trials: what schedulers ask for, clones, the ends of trials, failures.

::

      decision --> train | pause | complete
      clone    --> [wait for the donor's save] --> pause --> start with its checkpoint
      failure  --> [wait] --> retry (to the end of the queue) | error
"""

from __future__ import annotations

from localtune.controller import instructions as i
from localtune.controller.cloning import Clone
from localtune.controller.run_core import CONTINUE, PAUSE, STOP, RunCore
from localtune.controller.view import Request
from localtune.controller.workers import Phase, Worker
from localtune.error import (
    TrialTimeoutError,
    TuneError,
)
from localtune.experiment.checkpoint_history import TrackedCheckpoint
from localtune.experiment.status import Status
from localtune.experiment.trial import Trial
from localtune.result import (
    DONE,
)
from localtune.utils.dicts import flatten_dict
from localtune.worker import messages as m


class Decisions(RunCore):
    """Carries out, as instructions, what was decided about trials."""

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

    # -- what schedulers ask for ------------------------------------------------------------------

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

    # -- clones -----------------------------------------------------------------------------------

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

    def _finish(self, trial: Trial, status: Status) -> None:
        self._move(trial, status)
        if status is Status.TERMINATED:
            trial.error = None
        del self._live[trial.trial_id]
        self._clones.give_up(trial)
        trial.close()
        self._started.discard(trial.trial_id)
        # What it has come to is in the checkpoint of its donor, if it has made none since.
        if not trial.is_cloned:
            trial.start_point = None
            self._unpin(trial)
        self._serve_waiting(trial)

    # -- failures ---------------------------------------------------------------------------------

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
