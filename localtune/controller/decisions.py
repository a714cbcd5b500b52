"""What becomes of trials: what schedulers ask for, clones, the ends of trials, failures.

::

      decision --> [save] --> train | pause | complete
      request  --> now | after the save in flight | after the step in flight
      clone    --> [wait for the donor's save] --> pause --> start with its checkpoint
      failure  --> [wait] --> retry (to the end of the queue) | error
"""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.cloning import Clone
from localtune.controller.run_core import PAUSE, STOP, RunCore
from localtune.controller.view import Request
from localtune.controller.workers import Phase, Worker
from localtune.error import (
    TrialTimeoutError,
    TuneError,
)
from localtune.result import (
    DONE,
)
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.worker import messages


class Decisions(RunCore):
    """Carries out, as instructions, what was decided about trials."""

    def _go_on(self, worker: Worker, trial: Trial) -> None:
        """Does what was decided about a trial, which is at rest and saved if that was due."""
        decision, worker.decision = worker.decision, ""
        clone, worker.clone = worker.clone, None
        if decision == STOP:
            self._clones.give_up(trial)
            if self._settings.export_formats:
                self._command(
                    worker, Phase.EXPORTING, messages.Export(self._settings.export_formats)
                )
            else:
                self._complete(worker, trial)
            return
        if clone is not None:
            self._clone(clone, worker)
        if worker.trial is not trial:
            return
        if decision == PAUSE:
            self._pause(worker, trial)
        elif not self._clones.is_waiting(trial):
            self._train(worker)

    # -- what schedulers ask for ------------------------------------------------------------------

    def _serve_requests(self) -> None:
        """Carries out what the scheduler asked for, and what it asks for meanwhile."""
        if self._is_serving:
            return
        self._is_serving = True
        try:
            while requests := self._view.take_requests():
                for request in requests:
                    if request.trial.trial_id in self._live and not self._is_ending:
                        self._serve(request)
        finally:
            self._is_serving = False

    def _serve(self, request: Request | Clone) -> None:
        """Carries out one request; the table in docs/controller.md has all cases."""
        trial = request.trial
        worker = self._workers.of_trial(trial)
        if worker is None:
            self._serve_without_worker(request)
        elif worker.phase is Phase.EXPORTING:
            pass  # All else of it is over.
        elif not isinstance(request, Clone) and request.kind == "ready":
            worker.is_ready = worker.pause_wanted or worker.decision == PAUSE
        elif worker.phase is Phase.SAVING or worker is self._deciding:
            self._note(request, worker)
        elif isinstance(request, Clone):
            self._clone(request, worker)
        elif request.kind == "stop":
            self._complete(worker, trial)
        elif request.kind == "pause" and not request.should_checkpoint:
            self._pause(worker, trial)
        elif worker.phase is Phase.AT_REST:
            worker.decision = PAUSE if request.kind == "pause" else worker.decision
            self._save(worker)
        elif request.kind == "pause":
            worker.pause_wanted = True
        elif request.kind == "save":
            worker.save_wanted = True

    def _serve_without_worker(self, request: Request | Clone) -> None:
        trial = request.trial
        if isinstance(request, Clone):
            self._clone(request, None)
        elif request.kind == "stop":
            self._remove(trial)
        elif request.kind == "ready" and trial.status is Status.PAUSED:
            self._move(trial, Status.PENDING)

    def _note(self, request: Request | Clone, worker: Worker) -> None:
        """Notes a request for when the save in flight, or that which may be due, is done."""
        is_deciding = worker is self._deciding
        if isinstance(request, Clone):
            worker.clone = request
        elif request.kind == "stop":
            worker.decision = STOP
            worker.is_unwanted = True
            if is_deciding:
                request.trial.last_result[DONE] = True
        elif request.kind == "pause" and worker.decision != STOP:
            worker.decision = PAUSE
            worker.save_wanted |= is_deciding and request.should_checkpoint
        elif request.kind == "save":
            worker.save_wanted |= is_deciding

    # -- clones -----------------------------------------------------------------------------------

    def _clone(self, clone: Clone, worker: Worker | None) -> None:
        """Lets a trial go on as another one: now, when that one is saved, or not at all."""
        trial = clone.trial
        self._clones.give_up(trial)
        if self._is_saving(clone.donor):
            self._clones.wait(clone)
        elif clone.donor.resume_point is not None:
            if worker is not None:
                self._pause(worker, trial)
            released = self._clones.apply(clone)
            self._out.append(instructions.Persist(trial))
            self._forget_checkpoints(*released)

    def _serve_waiting(self, donor: Trial) -> None:
        """A donor has been saved, or will not be: those who waited for it go on."""
        for clone in self._clones.take_waiting(donor):
            self._serve(clone)
            worker = self._workers.of_trial(clone.trial)
            is_held = worker is not None and worker.phase is Phase.AT_REST
            if worker is not None and is_held and clone.trial is not donor:
                self._train(worker)

    def _unpin(self, trial: Trial) -> None:
        self._forget_checkpoints(*self._clones.unpin(trial))

    def _forget_checkpoints(self, owner: Trial | None, gone: list[TrackedCheckpoint]) -> None:
        if owner is not None and gone:
            self._out.append(instructions.Persist(owner))
            self._out.extend(instructions.DeleteCheckpoint(each) for each in gone)

    # -- the ends of trials -----------------------------------------------------------------------

    def _complete(self, worker: Worker, trial: Trial) -> None:
        """A running trial ends well."""
        self._release(worker, "its trial is complete")
        self._end_well(trial)

    def _end_well(self, trial: Trial) -> None:
        """A trial that ran until now ends well."""
        flat = flatten_dict(trial.last_result)
        if trial.cut_short is not None:
            trial.cut_short = None  # The end of the run came when all was done but a save.
        else:
            self._finish(trial, Status.TERMINATED)
        self._guard("scheduler", lambda: self._scheduler.on_trial_complete(self._view, trial, flat))
        self._guard(
            "searcher", lambda: self._searcher.on_trial_complete(trial.trial_id, result=flat)
        )
        self._out.append(instructions.Notify("on_trial_complete", trial))
        self._out.append(instructions.Persist(trial))
        self._serve_requests()

    def _remove(self, trial: Trial) -> None:
        """A trial that no worker serves ends well."""
        if self._recovering.pop(trial.trial_id, None) is not None:
            self._move(trial, Status.PENDING)
        self._finish(trial, Status.TERMINATED)
        self._guard("scheduler", lambda: self._scheduler.on_trial_remove(self._view, trial))
        self._tell_searcher_of_end(trial)
        self._out.append(instructions.Notify("on_trial_complete", trial))
        self._out.append(instructions.Persist(trial))

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

    def _fail(self, worker: Worker | None, trial: Trial, error: TuneError) -> None:
        """A trial fails, whose worker, if it had one, has been dismissed or has gone."""
        trial.error = error
        trial.num_failures += 1
        trial.failed_tries += 1
        self._clones.give_up(trial)
        self._serve_waiting(trial)
        self._out.append(instructions.WriteError(trial))
        self._guard("scheduler", lambda: self._scheduler.on_trial_error(self._view, trial))
        is_final = isinstance(error, TrialTimeoutError) and error.is_final
        if not trial.should_retry or is_final:
            self._give_up(trial, error)
        elif self._is_ending:
            self._move(trial, Status.PENDING)  # It is retried when the run is taken up again.
            self._out.append(instructions.Persist(trial))
        elif worker is not None and worker.is_unwanted:
            self._end_well(trial)
        else:
            self._move(trial, Status.ERROR)
            wait_s = self._settings.limits.retry_wait(trial.num_failures)
            if wait_s:
                self._recovering[trial.trial_id] = self._clock.monotonic() + wait_s
            else:
                self._retry(trial)
        self._serve_requests()

    def _retry(self, trial: Trial) -> None:
        self._move(trial, Status.PENDING)
        del self._live[trial.trial_id]
        self._live[trial.trial_id] = trial
        self._add_to_scheduler(trial)
        self._out.append(instructions.Notify("on_trial_recover", trial))
        self._out.append(instructions.Persist(trial))

    def _give_up(self, trial: Trial, error: TuneError) -> None:
        self._finish(trial, Status.ERROR)
        self._guard(
            "searcher", lambda: self._searcher.on_trial_complete(trial.trial_id, error=True)
        )
        self._out.append(instructions.Notify("on_trial_error", trial))
        self._out.append(instructions.Persist(trial))
        if self._settings.raise_first_error:
            self._abort(error)
        elif self._settings.fail_fast and not self._is_ending:
            self._end_all("a trial failed, and fail_fast is set")
        why = self._tally.note_failed_trial(trial, error)
        if why and not self._is_ending:
            self._out.append(instructions.Warn(why))
            self._leave_off("too many trials have failed")

    def _end_all(self, reason: str) -> None:
        """Ends all trials at once; a run that is taken up again goes on with them."""
        self._leave_off(reason)
        for trial in list(self._live.values()):
            trial.cut_short = trial.status
            trial.error = None
            self._move(trial, Status.TERMINATED)
            del self._live[trial.trial_id]
            trial.close()
            self._out.append(instructions.Persist(trial))

    def _tell_searcher_of_end(self, trial: Trial) -> None:
        self._guard("searcher", lambda: self._searcher.on_trial_complete(trial.trial_id))
