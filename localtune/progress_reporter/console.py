r"""ConsoleOutput: the built-in output of a run.

::

    hooks --> TrialTracker (numbers, best trials)  ----> frame ---> LiveDisplay
          \-> TrialEvent --> FloodGate --> event_line -----------> Display.print

Hooks only record the event, and print a line if one is due. The costly work (frames, status lines)
is done in :meth:`ConsoleOutput.tick`, at most a few times per second for any number of events.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from localtune.clock import Clock, SystemClock
from localtune.progress_reporter.choose_display import choose_display
from localtune.progress_reporter.display import Display
from localtune.progress_reporter.events import (
    EventKind,
    TrialEvent,
    event_line,
    failure_of,
    stamp,
)
from localtune.progress_reporter.facts import RunFacts, known_total
from localtune.progress_reporter.failure_text import source_of, traceback_lines
from localtune.progress_reporter.flood import FloodGate
from localtune.progress_reporter.frame import MAX_EVENTS, MAX_ROWS, build_frame
from localtune.progress_reporter.github import GitHubLog, is_github_actions
from localtune.progress_reporter.leaderboard import rank
from localtune.progress_reporter.line import Line, crop
from localtune.progress_reporter.machine import MachineMeter
from localtune.progress_reporter.output import Output
from localtune.progress_reporter.result_lines import ResultLines
from localtune.progress_reporter.status import status_text
from localtune.progress_reporter.summary import summary_lines
from localtune.progress_reporter.tracker import TrialTracker
from localtune.progress_reporter.trial_table import trial_table
from localtune.progress_reporter.values import as_number, iterations_of, lookup, trial_label
from localtune.result import TRAINING_ITERATION
from localtune.trial.status import Status
from localtune.utils.temporary import is_temporary
from localtune.utils.text import printable

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

REFRESH_S = 0.25
QUIET_S = 60.0
# Number of last lines of a traceback that are printed.
_TRACEBACK_LINES = 8

# The live view shows all other events in its table.
_LIVE_PRINTED = frozenset({EventKind.RETRIED, EventKind.FAILED})
_ALL = frozenset(EventKind)
_ENDS = frozenset({EventKind.FINISHED, EventKind.FAILED})


class ConsoleOutput(Output):
    """Shows a run on a terminal or in a log.

    A terminal gets a frame that changes in place if rich is installed. Other streams get one line
    per event.

    Args:
        verbose: 1 shows the state, the events, the best trials, and failures at the end; 2 also
            results; 3 results in full.
        facts: Facts about the run.
        live: Whether a terminal gets a frame. False keeps the terminal free for a debugger.
        stream: Stream to write to; None is the standard output.
        clock: Source of time.
        meter: Reads the load of the machine; None makes one.
        environ: Environment variables: ``NO_COLOR``, ``TERM``, ``COLUMNS``, ``LINES``,
            ``GITHUB_ACTIONS``, ``GITHUB_WORKSPACE``.
    """

    def __init__(
        self,
        verbose: int,
        facts: RunFacts,
        *,
        live: bool = True,
        stream: TextIO | None = None,
        clock: Clock | None = None,
        meter: MachineMeter | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._verbose = int(verbose)
        # A result that is printed comes before what the trial prints next.
        self.may_lag = self._verbose < 2
        self._facts = facts
        self._clock = clock or SystemClock()
        self._display: Display = choose_display(
            stream if stream is not None else sys.stdout, environ, live=live
        )
        self._printed = _LIVE_PRINTED if self._display.is_live and self._verbose < 2 else _ALL
        self._tracker = TrialTracker(facts.metric, facts.mode)
        self._meter = meter or MachineMeter(self._clock)
        is_log = not self._display.is_live
        self._github = GitHubLog(environ) if is_log and is_github_actions(environ) else None
        self._labels: dict[str, str] = {}
        self._flood = FloodGate()
        self._results = ResultLines(facts.metric, in_full=self._verbose > 2)
        self._events: deque[TrialEvent] = deque(maxlen=MAX_EVENTS)
        self._failures: deque[TrialEvent] = deque(maxlen=MAX_EVENTS)
        self._trials: Sequence[Trial] = ()
        self._knows_earlier = False
        self._is_closed = False
        self._start_s = self._last_line_s = self._clock.monotonic()
        self._next_refresh_s = self._start_s

    # -- hooks ------------------------------------------------------------------------------

    def setup(
        self,
        stop: dict[str, Any] | None = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        time_budget_s: float | None = None,
        **info: Any,
    ) -> None:
        self._start_s = self._last_line_s = self._next_refresh_s = self._clock.monotonic()
        self._facts.time_budget_s = time_budget_s
        if self._facts.total_samples is None:
            self._facts.total_samples = known_total(total_num_samples)
        if not self._display.is_live:
            self._print([(f"{self._facts.name}: ", "bold"), (self._facts.plan(), "")])
            if not is_temporary(self._facts.experiment_path):
                self._print([(f"Results in {printable(self._facts.experiment_path)}", "")])

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._update_trials(trials)
        self._labels[trial.trial_id] = trial_label(trial)
        is_first = self._tracker.started(trial) and not iterations_of(trial)
        self._add_event(EventKind.STARTED if is_first else EventKind.RESUMED, trial)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        if self._display.is_live and self._facts.metric is not None:
            value = as_number(lookup(result, self._facts.metric))
            self._tracker.add_value(trial, result.get(TRAINING_ITERATION), value)
        if self._verbose < 2:
            return
        now_s = self._clock.monotonic()
        if self._results.is_due(trial, result, now_s):
            self._print_collapsed(now_s)
            if self._flood.admit("reported a result"):
                for line in self._results.lines(trial, result, now_s - self._start_s):
                    self._print(line)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._end(trials, trial, EventKind.FINISHED, Status.TERMINATED)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._end(trials, trial, EventKind.RETRIED, Status.PENDING)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._end(trials, trial, EventKind.FAILED, Status.ERROR)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._update_trials(trials)
        self._close()

    # -- further methods of Output ------------------------------------------------------------

    def tick(self, trials: list[Trial]) -> None:
        now_s = self._clock.monotonic()
        if now_s >= self._next_refresh_s:
            self._next_refresh_s = now_s + REFRESH_S
            self._update_trials(trials)
            self._refresh(now_s)

    @property
    def wants_worker_output(self) -> bool:
        return self._display.is_live

    def worker_output(self, text: str, trial_id: str) -> None:
        self._last_line_s = self._clock.monotonic()
        self._display.print_foreign(text, self._labels.get(trial_id, trial_id))

    def summary(self, trials: Sequence[Trial], *, interrupted: bool, elapsed_s: float) -> None:
        self._update_trials(trials)
        self._close()
        if not self._display.is_live:
            self._print_best(trials)
        for line in summary_lines(
            trials, self._facts, interrupted=interrupted, elapsed_s=elapsed_s
        ):
            self._display.print(line)

    def log(self, message: str) -> None:
        self._print([*stamp(self._elapsed_s()), (printable(message), "")])

    def warn(self, message: str) -> None:
        text = ("Warning: ", "bold magenta"), (printable(message), "")
        self._print([*stamp(self._elapsed_s()), *text])
        if self._github is not None:
            for line in self._github.annotation("warning", message, title=self._facts.name):
                self._print(line)

    # -- events -----------------------------------------------------------------------------

    def _update_trials(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        if not self._knows_earlier and trials:
            self._knows_earlier = True
            self._tracker.add_earlier(trials)

    def _end(self, trials: Sequence[Trial], trial: Trial, kind: EventKind, status: Status) -> None:
        self._update_trials(trials)
        self._tracker.set_status(trial, status)
        self._results.forget(trial)
        self._add_event(kind, trial)

    def _add_event(self, kind: EventKind, trial: Trial) -> None:
        now_s = self._clock.monotonic()
        event = TrialEvent(kind, trial, now_s - self._start_s, failure=failure_of(kind, trial))
        if kind in _ENDS:
            counts = self._tracker.counts(len(self._trials))
            event.progress = self._facts.progress(counts.ended, counts.all)
        if event.failure:
            self._failures.append(event)
        elif kind is not EventKind.STARTED:
            self._events.append(event)
        if kind in self._printed:
            self._print_collapsed(now_s)
            if self._flood.admit(kind.value):
                self._print_event(event)

    # -- printing ---------------------------------------------------------------------------

    def _print(self, line: Line) -> None:
        self._last_line_s = self._clock.monotonic()
        self._display.print(line)

    def _print_event(self, event: TrialEvent) -> None:
        metric = self._facts.optimised_metric
        if self._display.is_live:
            # The event gets one line. The summary names the file with the traceback.
            line = event_line(event, metric, with_file=False)
            self._print(crop(line, self._display.size()[0]))
            return
        self._print(event_line(event, metric))
        if event.failure:
            for line in self._traceback_of(event):
                self._print(line)

    def _traceback_of(self, event: TrialEvent) -> list[Line]:
        trial = event.trial
        if self._github is None:
            return [[(f"    {line}", "")] for line in traceback_lines(trial, _TRACEBACK_LINES)]
        lines: list[Line] = [[(f"    {line}", "")] for line in traceback_lines(trial)]
        label = trial_label(trial)
        kind = "error" if event.kind is EventKind.FAILED else "warning"
        return [
            *(self._github.group(f"Traceback of {label}", lines) if lines else []),
            *self._github.annotation(
                kind,
                event.failure,
                title=f"Trial {label} {event.kind.value}",
                place=source_of(trial),
            ),
        ]

    def _print_collapsed(self, now_s: float) -> None:
        self._print_held_back(self._flood.collapsed(now_s))

    def _print_held_back(self, held_back: Mapping[str, int]) -> None:
        if held_back:
            text = ", ".join(f"{number:,} {kind}" for kind, number in held_back.items())
            counts = self._tracker.counts(len(self._trials))
            progress = self._facts.progress(counts.ended, counts.all)
            self._print(
                [*stamp(self._elapsed_s()), (f"… more trials: {text}", ""), (f" {progress}", "dim")]
            )

    def _refresh(self, now_s: float) -> None:
        for trial in self._tracker.newly_paused():
            self._add_event(EventKind.PAUSED, trial)
        self._print_collapsed(now_s)
        if self._display.is_live:
            self._display.draw(self._frame(is_final=False))
        elif now_s - self._last_line_s >= QUIET_S:
            counts = self._tracker.counts(len(self._trials))
            best = self._tracker.leaderboard.best(1)
            text = status_text(self._facts, counts, best[0] if best else None)
            self._print([*stamp(self._elapsed_s()), (text, "")])

    def _frame(self, *, is_final: bool) -> list[Line]:
        return build_frame(
            self._facts,
            self._tracker,
            self._events,
            known=len(self._trials),
            elapsed_s=self._elapsed_s(),
            size=self._display.size(),
            failures=self._failures,
            load=None if is_final else self._meter.load(),
            is_final=is_final,
        )

    def _close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._tracker.newly_paused()
        self._print_held_back(self._flood.drain())
        if self._display.is_live:
            self._display.draw(self._frame(is_final=True))
        self._display.close()

    def _print_best(self, trials: Sequence[Trial]) -> None:
        best = rank(trials, self._facts.metric, self._facts.mode)[:MAX_ROWS]
        if best:
            table = trial_table(
                best,
                metric=self._facts.metric,
                mode=self._facts.mode,
                parameters=self._tracker.shown_parameters,
                width=self._display.size()[0],
            )
            if self._github is not None:
                table = self._github.group("Best trials", table)
            for line in [[], *table]:
                self._display.print(line)

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._start_s
