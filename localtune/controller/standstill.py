"""Standstill: notices that nothing is left to wait for although the run is not over."""

from __future__ import annotations

from localtune.clock import Clock
from localtune.controller import instructions
from localtune.controller.creator import Creator
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.shutdown import Shutdown
from localtune.controller.starter import Starter
from localtune.error import TuneError
from localtune.search.search_algorithm import searcher_name

# A searcher that has nothing to suggest, while no trial runs, is asked again after this time.
POLL_S = 1.0

# It is asked no longer than this: no trial is left that it could learn from.
_POLLED_FOR_S = 600.0


class Standstill:
    """Sets a run going again in which no trial runs, or ends it.

    Args:
        record: State of the run.
        out: Receives the instructions.
        deciders: Are asked once more.
        creator: Knows whether the searcher waits.
        starter: Starts the trials that wait.
        shutdown: Ends the run when the searcher suggests nothing for too long.
        clock: For that time.

    Attributes:
        polled_since: Since when the run waits for the searcher alone, by the clock, in seconds;
            None if it does not.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        deciders: Deciders,
        creator: Creator,
        starter: Starter,
        shutdown: Shutdown,
        clock: Clock,
    ) -> None:
        self.polled_since: float | None = None
        self._record = record
        self._out = out
        self._deciders = deciders
        self._creator = creator
        self._starter = starter
        self._shutdown = shutdown
        self._clock = clock

    def check(self) -> None:
        """Checks for a standstill, after all trials have been started that may start."""
        record = self._record
        if record.is_ending or record.retry_times:
            return
        has_workers = record.workers.serving_count > 0
        if not record.live and not has_workers:
            self._watch_searcher()
            return
        self.polled_since = None
        if has_workers or not self._starter.scheduler_waits or self._may_get_trials():
            return
        live_count = len(record.live)
        self._deciders.view.is_stuck = True
        self._starter.start_chosen()
        self._deciders.view.is_stuck = False
        if record.workers.serving_count > 0 or len(record.live) < live_count:
            # The scheduler has let a trial go on, or has ended one.
            return
        if self._starter.scheduler_waits and record.live and not record.is_ending:
            scheduler = type(self._deciders.scheduler).__name__
            self._out.warn_once(
                f"The scheduler {scheduler} lets {len(record.live)} trials wait, and nothing else "
                "is left to do: they go on, one after the other."
            )
            self._starter.start(next(iter(record.live.values())))

    def _may_get_trials(self) -> bool:
        """Returns whether the searcher may suggest a trial without any further event."""
        is_thinking = self._deciders.searcher.is_thinking
        return is_thinking or (self._creator.can_create() and not self._creator.searcher_waits)

    def _watch_searcher(self) -> None:
        """Ends the run if the searcher, for which alone it waits, suggests nothing for too long."""
        searcher = self._deciders.searcher
        if searcher.is_thinking:
            return
        if searcher.is_finished() or not self._creator.searcher_waits:
            self.polled_since = None
            return
        now = self._clock.monotonic()
        if self.polled_since is None:
            self.polled_since = now
        elif now - self.polled_since > _POLLED_FOR_S:
            self._shutdown.abort(
                TuneError(
                    f"The searcher {searcher_name(searcher)} suggested nothing for "
                    f"{_POLLED_FOR_S:g} s while no trial was left to wait for. It must return a "
                    "configuration, or FINISHED if there is none any more."
                )
            )
