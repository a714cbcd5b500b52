"""build_frame: the lines of the live view at one moment.

::

    sweep  train, ASHA                                 00:01:23, about 2m 10s left
    ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────────────────────  37/100
    4 running · 60 pending · 30 finished · 3 failed
    4 of 4 CPU in use · machine: CPU 87%, memory 12.3 GiB of 31.2 GiB

    1a2b_00007  ━━━━━━━━━━━━━━━━━─────────────  12/20  loss=0.0312  3.2s
    ...

    Trial        State     loss ↓  Curve     lr     batch  Iter  Time
    ───────────  ────────  ──────  ────────  ─────  ─────  ────  ────
    1a2b_00007   running   0.0312  █▇▅▃▂▁▁▁  0.001     32    12  3.2s
    ...

    00:01:18 1a2b_00009 failed 36/100  ValueError: bad lr (train.py:12)
    00:01:20 1a2b_00012 finished  20 iterations  loss=0.42  in 3.1s

    Results in .../sweep
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localtune.progress_reporter.events import TrialEvent, event_line
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import Line, crop, join, justify, line_width
from localtune.progress_reporter.machine import MachineLoad
from localtune.progress_reporter.running import fraction_of, max_iterations_of, running_lines
from localtune.progress_reporter.status import SEPARATOR, bar, counts_parts, remaining_s, time_parts
from localtune.progress_reporter.tracker import Counts, TrialTracker
from localtune.progress_reporter.trial_table import trial_table
from localtune.utils.temporary import is_temporary
from localtune.utils.text import format_bytes, one_line, shorten, text_width

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

MAX_ROWS = 10
MAX_EVENTS = 3
MAX_RUNNING = 8
# Number of latest failures that are always shown.
_MAX_FAILURES = 2
# Least height of a terminal, in lines, for the line with the load of the machine.
_MIN_USAGE_HEIGHT = 16
# Lines of the table besides its rows: an empty line, the heading and the rule.
_TABLE_EXTRA = 3
# Least number of free lines for the path of the experiment.
_MIN_SPACE_FOR_FOOT = 12
# On a wider terminal, the time would be too far from the title.
_MAX_HEAD_WIDTH = 100
# On a narrower terminal, events would be cut before they say anything.
_MIN_EVENT_WIDTH = 50


def build_frame(
    facts: RunFacts,
    tracker: TrialTracker,
    events: Sequence[TrialEvent],
    *,
    known: int,
    elapsed_s: float,
    size: tuple[int, int],
    failures: Sequence[TrialEvent] = (),
    load: MachineLoad | None = None,
    is_final: bool = False,
) -> list[Line]:
    """Returns the lines of the live view: fewer than the terminal's, and at most as wide.

    Args:
        facts: Facts about the run.
        tracker: State of its trials.
        events: The latest events, oldest first.
        known: Number of existing trials.
        elapsed_s: Seconds since the start.
        size: Columns and lines of the terminal.
        failures: The latest failures, which may be in ``events``, too.
        load: Load of the machine, if it is known.
        is_final: Whether this is the last frame, which the summary follows.
    """
    width, height = size
    # The last line of the terminal stays free for the cursor.
    space = max(height - 1, 1)
    counts = tracker.counts(known)
    running = [] if is_final else list(tracker.running.values())
    begun = sum(fraction_of(trial, facts) for trial in running)
    left_s = remaining_s(facts, counts, tracker.ended_now, elapsed_s, begun)
    left_s = None if is_final else left_s
    time = time_parts(elapsed_s, left_s)
    head = _head(facts, counts, time, min(width, _MAX_HEAD_WIDTH))[:space]
    if not is_final and height >= _MIN_USAGE_HEIGHT:
        head += _usage(facts, running, load, width)
    space -= len(head)
    foot = [] if is_final or space < _MIN_SPACE_FOR_FOOT else _foot(facts, width)
    space -= len(foot)
    wanted = 0 if is_final or width < _MIN_EVENT_WIDTH else MAX_EVENTS
    shown = _events_to_show(events, failures, min(wanted, space - _TABLE_EXTRA - 4))
    tail: list[Line] = [[]] if shown else []
    tail += [event_line(event, facts.optimised_metric, with_file=False) for event in shown]
    space -= len(tail)
    # The running trials get at most half of the lines, so that the best trials are shown, too.
    rows = min(MAX_RUNNING, (space - _TABLE_EXTRA - 1) // 2)
    bars: list[Line] = []
    if _need_own_lines(running, facts) and rows >= min(len(running), 2):
        bars = [[], *running_lines(running, facts, width, rows)]
    space -= len(bars)
    table = _table(facts, tracker, width, min(MAX_ROWS, space - _TABLE_EXTRA), bool(bars))
    return [crop(line, width) for line in [*head, *bars, *table, *tail, *foot]]


def _head(facts: RunFacts, counts: Counts, time: Line, width: int) -> list[Line]:
    title: Line = [(facts.name, "bold")]
    about = ", ".join(each for each in (facts.searcher_name, facts.scheduler_name) if each)
    if about and line_width(title) + len(about) + line_width(time) + 4 <= width:
        title.append((f"  {one_line(about)}", "dim"))
    if line_width(title) + line_width(time) + 2 > width:
        title = [(shorten(facts.name, max(width - 10, 1)), "bold")]
        time = time[:1]
    lines = [justify(title, time, width)]
    total = facts.total(counts.all)
    if total is not None:
        number = f" {counts.ended}/{total}"
        lines.append([*bar(counts, total, max(width - len(number), 1)), (number, "bold")])
    parts = counts_parts(counts)
    lines.append(join(parts, SEPARATOR))
    return lines


def _need_own_lines(running: Sequence[Trial], facts: RunFacts) -> bool:
    """Returns whether lines for the running trials say more than the table does."""
    if facts.optimised_metric is not None:
        return bool(running)
    return any(max_iterations_of(trial, facts) for trial in running)


def _usage(
    facts: RunFacts, running: Sequence[Trial], load: MachineLoad | None, width: int
) -> list[Line]:
    """Returns a line on the resources in use and the load of the machine, as far as it fits."""
    used: Counter[str] = Counter()
    for trial in running:
        request = trial.placement_group_factory
        used.update(request.required_resources if request is not None else {"CPU": 1.0})
    parts = [facts.slots_in_use(used)]
    if load is not None:
        memory = f"memory {format_bytes(load.used_bytes)} of {format_bytes(load.total_bytes)}"
        cpu = f"CPU {load.cpu:.0%}, " if load.cpu is not None else ""
        parts.append(f"machine: {cpu}{memory}")
    parts = [part for part in parts if part]
    while parts and text_width(SEPARATOR.join(parts)) > width:
        parts.pop()
    return [[(SEPARATOR.join(parts), "dim")]] if parts else []


def _table(
    facts: RunFacts, tracker: TrialTracker, width: int, rows: int, has_bars: bool
) -> list[Line]:
    if rows < 1:
        return []
    trials = tracker.leaderboard.best(rows)
    ranked = {trial.trial_id for trial in trials}
    for trial in tracker.running.values():
        # Running trials that are not among the best have lines of their own above.
        if len(trials) == rows or (has_bars and facts.optimised_metric is not None):
            break
        if trial.trial_id not in ranked:
            trials.append(trial)
    if not trials:
        return []
    lines = trial_table(
        trials,
        metric=facts.metric,
        mode=facts.mode if ranked else None,
        parameters=tracker.shown_parameters,
        width=width,
        curves=tracker.curves,
    )
    return [[], *lines]


def _events_to_show(
    events: Sequence[TrialEvent], failures: Sequence[TrialEvent], rows: int
) -> list[TrialEvent]:
    """Returns the latest events, with the latest failures among them, oldest first."""
    if rows < 1:
        return []
    kept = list(failures)[-min(_MAX_FAILURES, rows) :]
    others = [event for event in events if event not in kept]
    room = rows - len(kept)
    return sorted([*kept, *(others[-room:] if room else [])], key=lambda event: event.at_s)


def _foot(facts: RunFacts, width: int) -> list[Line]:
    if is_temporary(facts.experiment_path):
        return []
    label = "Results in "
    path = shorten(one_line(facts.experiment_path), max(width - len(label), 8), keep="end")
    return [[], [(label, "dim"), (path, "dim")]]
