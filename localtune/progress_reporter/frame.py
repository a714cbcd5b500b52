"""What the live view shows at one moment.

::

    sweep  train, ASHA                                 00:01:23, about 2m 10s left
    ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────────────────────  37/100
    4 running · 60 pending · 30 finished · 3 failed

    Trial        State     loss ↓  lr     batch  Iter  Time
    ───────────  ────────  ──────  ─────  ─────  ────  ────
    1a2b_00007   running   0.0312  0.001     32    12  3.2s
    ...

    00:01:20 1a2b_00012 finished  20 iterations  loss=0.42  in 3.1s

    Results in .../sweep
"""

from __future__ import annotations

from collections.abc import Sequence

from localtune.progress_reporter.events import TrialEvent, event_line
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.line import Line, crop, join, line_width, spread
from localtune.progress_reporter.status import SEPARATOR, bar, counts_parts, remaining_s, time_parts
from localtune.progress_reporter.tracker import Counts, TrialTracker
from localtune.progress_reporter.trial_table import trial_table
from localtune.utils.text import one_line, shorten

MAX_ROWS = 10
MAX_EVENTS = 3
# Heading and rule of the table, and the empty line above.
_TABLE_EXTRA = 3
# Eyes do not find what stands at the far end of a very wide terminal.
_MAX_HEAD_WIDTH = 100
# Of events that do not fit, the beginning tells nothing.
_MIN_EVENT_WIDTH = 50


def build_frame(
    facts: RunFacts,
    tracker: TrialTracker,
    events: Sequence[TrialEvent],
    *,
    known: int,
    elapsed_s: float,
    size: tuple[int, int],
    is_final: bool = False,
) -> list[Line]:
    """Lines of the live view: never wider, and less high, than the terminal.

    Args:
        facts: About the run.
        tracker: State of its trials.
        events: The latest ones, oldest first.
        known: How many trials exist.
        elapsed_s: Seconds since the start.
        size: Columns and lines of the terminal.
        is_final: Whether the frame stays and the summary follows: it tells the rest.
    """
    width, height = size
    # The last line of the terminal stays free for the cursor and for what the user types.
    space = max(height - 1, 1)
    counts = tracker.counts(known)
    left_s = None if is_final else remaining_s(facts, counts, tracker.ended_now, elapsed_s)
    time = time_parts(elapsed_s, left_s)
    head = _head(facts, counts, time, min(width, _MAX_HEAD_WIDTH))[:space]
    space -= len(head)
    foot = [] if is_final or space < 2 + _TABLE_EXTRA + 2 else _foot(facts, width)
    space -= len(foot)
    wanted = 0 if is_final or width < _MIN_EVENT_WIDTH else MAX_EVENTS
    tail = _tail(events, facts, min(wanted, space - _TABLE_EXTRA - 4))
    space -= len(tail)
    table = _table(facts, tracker, width, min(MAX_ROWS, space - _TABLE_EXTRA))
    return [crop(line, width) for line in [*head, *table, *tail, *foot]]


def _head(facts: RunFacts, counts: Counts, time: Line, width: int) -> list[Line]:
    title: Line = [(facts.name, "bold")]
    about = ", ".join(each for each in (facts.searcher_name, facts.scheduler_name) if each)
    if about and line_width(title) + len(about) + line_width(time) + 4 <= width:
        title.append((f"  {one_line(about)}", "dim"))
    if line_width(title) + line_width(time) + 2 > width:
        title = [(shorten(facts.name, max(width - 10, 1)), "bold")]
        time = time[:1]
    lines = [spread(title, time, width)]
    total = facts.total(counts.all)
    if total is not None:
        number = f" {counts.ended}/{total}"
        lines.append([*bar(counts, total, max(width - len(number), 1)), (number, "bold")])
    parts = counts_parts(counts)
    if facts.slots and width >= 60:
        parts.append([(one_line(facts.slots), "dim")])
    lines.append(join(parts, SEPARATOR))
    return lines


def _table(facts: RunFacts, tracker: TrialTracker, width: int, rows: int) -> list[Line]:
    if rows < 1:
        return []
    trials = tracker.leaderboard.best(rows)
    ranked = {trial.trial_id for trial in trials}
    for trial in tracker.running.values():
        if len(trials) == rows:
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
    )
    return [[], *lines]


def _tail(events: Sequence[TrialEvent], facts: RunFacts, rows: int) -> list[Line]:
    if not events or rows < 1:
        return []
    return [[], *(event_line(event, facts.optimised_metric) for event in list(events)[-rows:])]


def _foot(facts: RunFacts, width: int) -> list[Line]:
    label = "Results in "
    path = shorten(one_line(facts.experiment_path), max(width - len(label), 8), keep="end")
    return [[], [(label, "dim"), (path, "dim")]]
