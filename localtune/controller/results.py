"""Results: what a result leads to.

::

      result --> checks --> stopper, scheduler, searcher --> recorded --> requests
                   |                                 |                      |
                   |                                 |        [save] <------+--> decision
                   |                                 |
                   |                                 +-- nothing but the next step follows:
                   |                                     next step --> recorded
                   +--> failure, or the end of the run

The next step is sent before the result is written, so that the trial computes meanwhile. If the
parent dies in between, the worker dies, too, and the step is lost with the result.
"""

from __future__ import annotations

from typing import Any

from localtune.controller import instructions
from localtune.controller.commands import WorkerCommands
from localtune.controller.deciders import Deciders
from localtune.controller.decisions import Decisions
from localtune.controller.failures import Failures
from localtune.controller.metric_check import MetricCheck
from localtune.controller.record import RunRecord
from localtune.controller.requests import Requests
from localtune.controller.saves import Saves
from localtune.controller.shutdown import Shutdown
from localtune.controller.workers import CONTINUE, NOOP, PAUSE, STOP, Worker
from localtune.result import (
    CONFIG_PREFIX,
    DONE,
    EXPERIMENT_TAG,
    RESULT_DUPLICATE,
    SHOULD_CHECKPOINT,
    TIME_TOTAL_S,
    TRIAL_ID,
)
from localtune.trial.metric_analysis import update_metric_stats
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.worker import messages

_GOES_ON = (CONTINUE, NOOP)


class Results:
    """Takes in the results of trials.

    Args:
        record: State of the run.
        out: Receives the instructions.
        commands: Gives workers their next commands.
        deciders: Are asked about each result.
        requests: Carries out what the scheduler asks for with a result.
        decisions: Carries out the decision when no save is due.
        saves: Knows when a save is due.
        failures: Takes in results that cannot be compared.
        shutdown: Ends the run when the metric is missing.
        metric_check: Checks results.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        commands: WorkerCommands,
        deciders: Deciders,
        requests: Requests,
        decisions: Decisions,
        saves: Saves,
        failures: Failures,
        shutdown: Shutdown,
        metric_check: MetricCheck,
    ) -> None:
        self._record = record
        self._out = out
        self._commands = commands
        self._deciders = deciders
        self._requests = requests
        self._decisions = decisions
        self._saves = saves
        self._failures = failures
        self._shutdown = shutdown
        self._metric_check = metric_check

    def take_in(self, worker: Worker, trial: Trial, reply: messages.Trained) -> None:
        """Takes in a result.

        Args:
            worker: Has done a step, and is at rest.
            trial: Its trial.
            reply: Its answer.
        """
        result = reply.result
        is_duplicate = RESULT_DUPLICATE in result
        if is_duplicate:
            # A function has stored a checkpoint after its last result.
            worker.save_wanted |= bool(result.get(SHOULD_CHECKPOINT))
            result = {**trial.last_result, DONE: True}
        else:
            is_changed = reply.changed_config or reply.removed_config
            result[CONFIG_PREFIX] = _changed_config(trial, reply) if is_changed else trial.config
        result[TRIAL_ID] = trial.trial_id
        flat = flatten_dict(result)
        if not is_duplicate and not self._is_usable(worker, trial, flat, result):
            return
        if self._deciders.meets_stop_condition(trial, result) or result.get(DONE):
            worker.decision = STOP
        else:
            worker.decision = self._deciders.decide(trial, flat)
            worker.is_unwanted = worker.decision == STOP
            worker.save_wanted |= worker.decision == PAUSE
        if self._record.is_ending:
            return
        if worker.decision == STOP:
            result[DONE] = flat[DONE] = True
        record = None if is_duplicate else self._count(trial, result, flat)
        trial.last_result = result
        result[EXPERIMENT_TAG] = trial.experiment_tag
        trial.run_time_s = result.get(TIME_TOTAL_S) or trial.run_time_s
        is_due = worker.save_wanted or self._saves.is_due(result, is_duplicate=is_duplicate)
        if record is not None and not is_due and self._goes_straight_on(worker, trial):
            # The trial computes while its result is written.
            worker.decision = ""
            self._commands.train(worker)
            self._out.append(record)
            return
        if record is not None:
            self._out.append(record)
        if self._requests.waiting:
            self._serve_requests(worker)
        if worker.pause_wanted:
            self._add_pause(worker)
        if self._record.is_ending:
            return
        if reply.has_ended:
            worker.has_ended, worker.save_wanted = True, False
            self._decisions.carry_out(worker, trial)
        elif worker.save_wanted or is_due:
            self._commands.save(worker)
        else:
            self._decisions.carry_out(worker, trial)

    def _is_usable(
        self, worker: Worker, trial: Trial, flat: dict[str, Any], result: dict[str, Any]
    ) -> bool:
        """Returns whether a result can be decided upon; else its trial or the run has ended."""
        odd = self._metric_check.odd_value_of(trial, flat, result)
        if odd is not None:
            self._commands.dismiss(worker, "its trial has given an odd result")
            self._failures.fail(worker, trial, odd)
            return False
        missing = self._metric_check.error_of(trial, flat)
        if missing is not None:
            self._shutdown.abort(missing)
            return False
        return True

    def _goes_straight_on(self, worker: Worker, trial: Trial) -> bool:
        """Returns whether only the next step follows on a result for which no save is due."""
        return (
            worker.decision in _GOES_ON
            and not self._requests.waiting
            and not worker.pause_wanted
            and not self._record.clones.is_wanted(trial)
        )

    def _count(
        self, trial: Trial, result: dict[str, Any], flat: dict[str, Any]
    ) -> instructions.Record:
        """Adds a result to its trial; returns the instruction that writes it."""
        self._record.has_result = True
        stats = trial.metric_stats
        if not stats:
            warnings = self._deciders.stopper.missing_key_warnings(result)
            self._out.extend(map(instructions.Warn, warnings))
        shown = dict(result)
        self._out.append(instructions.Notify("on_trial_result", trial, {"result": shown}))
        update_metric_stats(stats, flat)
        trial.result_count += 1
        return instructions.Record(trial, trial.result_count, result, shown)

    def _serve_requests(self, worker: Worker) -> None:
        """Carries out requests; those about the worker's own trial wait until a save is done."""
        worker.is_deciding = True
        try:
            self._requests.serve()
        finally:
            worker.is_deciding = False

    @staticmethod
    def _add_pause(worker: Worker) -> None:
        """Lets a pause follow that was asked for during the step, unless the trial ends."""
        if worker.decision != STOP:
            worker.decision, worker.save_wanted = PAUSE, True
        worker.pause_wanted = False


def _changed_config(trial: Trial, reply: messages.Trained) -> dict[str, Any]:
    """Returns the config that a result was made with: user code has changed its own copy."""
    config = {**trial.config, **reply.changed_config}
    for key in reply.removed_config:
        config.pop(key, None)
    return config
