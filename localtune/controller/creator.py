"""Creator: which trials are created, and when."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.settings import RunSettings
from localtune.controller.shutdown import Shutdown
from localtune.controller.trial_factory import make_trial
from localtune.error import TuneError
from localtune.resources import PlacementGroupFactory
from localtune.trial.status import Status
from localtune.trial.trial import Trial

# At most so many trials are created at once: the first ones start before the next are suggested.
# If many may wait, no fewer are created: their records then share a transaction and its pages.
_CREATED_AT_ONCE = 4
_MANY = 2 * _CREATED_AT_ONCE


class Creator:
    """Creates trials from what the searcher suggests, as far as limits allow.

    Args:
        settings: What each trial is made with, and the limits.
        record: State of the run.
        out: Receives the instructions.
        deciders: Suggest trials, and are told of them.
        shutdown: Ends the run when a trial cannot be made.

    Attributes:
        searcher_waits: Whether the searcher had nothing to suggest when it was last asked.
        has_work: Whether :meth:`create` can go on at once, without waiting for an event.
    """

    def __init__(
        self,
        settings: RunSettings,
        record: RunRecord,
        out: instructions.InstructionList,
        deciders: Deciders,
        shutdown: Shutdown,
    ) -> None:
        self.searcher_waits = False
        self.has_work = True
        self._settings = settings
        self._limit = settings.spec.tune_config.trial_limit
        self._record = record
        self._out = out
        self._deciders = deciders
        self._shutdown = shutdown
        self._runnable: PlacementGroupFactory | None = None  # of the latest trial that can run

    def can_create(self) -> bool:
        """Returns whether limits allow another trial now and the searcher has not finished."""
        return self._room() > 0 and not self._deciders.searcher.is_finished()

    def create(self) -> bool:
        """Creates a few trials.

        Returns:
            Whether it has created any.
        """
        self.searcher_waits = self.has_work = False
        before = len(self._record.trials)
        for _ in range(min(self._room(), _CREATED_AT_ONCE)):
            if self._record.is_ending or self._deciders.searcher.is_finished():
                break
            suggestion = self._deciders.next_suggestion()
            if suggestion is None:
                self.searcher_waits = True
                break
            try:
                trial = make_trial(self._settings, suggestion, len(self._record.trials))
                self._check_can_run(trial)
            except (TuneError, ValueError) as error:
                self._shutdown.abort(error)
                return False
            self._record.add(trial)
            self._deciders.add(trial)
            self._out.append(instructions.Persist(trial))
        return len(self._record.trials) > before

    def look_ahead(self) -> None:
        """Finds out whether more trials can be created, after those of :meth:`create` may run."""
        self.has_work = not self.searcher_waits and self.can_create()

    def adopt(self, trials: list[Trial]) -> None:
        """Adds the trials of an earlier session; unfinished ones will run.

        Raises:
            ResourceRequestError: if one of them can never run on this machine.
        """
        self._record.clones.adopt(trials)
        for trial in trials:
            if not trial.is_finished():
                self._check_can_run(trial)
            self._record.add(trial)
            if not trial.is_finished():
                self._deciders.add(trial)

    def _check_can_run(self, trial: Trial) -> None:
        request = trial.placement_group_factory
        if request is self._runnable:  # Most trials share one object.
            return
        refusal = self._record.workers.refusal_of(trial)
        if refusal is not None:
            raise refusal
        self._runnable = request

    def _room(self) -> int:
        """How many trials the limits allow now."""
        record, limit, most = self._record, self._limit, self._lookahead()
        room = most - len(record.waiting.ids[Status.PENDING])
        if room < _CREATED_AT_ONCE and most >= _MANY and not self._deciders.searcher.learns:
            return 0
        return room if limit <= 0 else min(room, limit - len(record.live))

    def _lookahead(self) -> int:
        """How many trials may wait to run."""
        searcher, most = self._deciders.searcher, self._settings.lookahead
        if not searcher.learns:
            return most
        # A suggestion made too early knows less; one made too late leaves a slot idle.
        ahead = max(self._record.workers.serving_count, 1) if searcher.is_slow else 1
        return min(ahead, most)
