"""The timeline of an experiment: stretches of work, and the slots that they are drawn in.

Neither the ends of stretches nor slots are recorded. Both are computed:

- A stretch of work is a series of results whose ``iterations_since_restore`` counts on in one
  process. It starts ``time_since_restore`` seconds of training before its end, or at the recorded
  start of the trial. It ends with its last result, or when the trial failed. Times of results are
  whole seconds.
- Slots are the fewest rows that hold the stretches without an overlap.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.result import DATE_FORMAT, EXPR_ERROR_FILE, PID, TIMESTAMP
from localtune.tools.report.params import as_number
from localtune.utils.files import no_link

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

# Times of results are whole seconds, so a start that is told from them may be this much too early.
TOLERANCE_S = 1.0
_SINCE_RESTORE = "time_since_restore"
_ITERATIONS_SINCE_RESTORE = "iterations_since_restore"
_FAILURE = re.compile(r"^Failure # \d+ \(occurred at (\d+-\d+-\d+_\d+-\d+-\d+)\)$", re.MULTILINE)


@dataclass
class Stretch:
    """Time in which a trial ran.

    Attributes:
        number: Of the trial.
        start: Unix time.
        end: Unix time.
        slot: Row, from 0.
        has_failed: Whether it ended with a failure.
        is_recorded: Whether its start was recorded, not told from results.
    """

    number: int
    start: float
    end: float
    slot: int = 0
    has_failed: bool = False
    is_recorded: bool = False


def stretches_of(
    number: int, trial: Trial, results: Sequence[dict[str, Any]], now: float | None
) -> list[Stretch]:
    """Computes when a trial ran.

    Args:
        number: Of the trial.
        trial: Its record.
        results: Its history.
        now: Unix time, if the trial runs at this moment.
    """
    found = [
        _stretch(number, run, trial.start_time if place == 0 else None)
        for place, run in enumerate(_runs(results))
    ]
    for failed_at in _failure_times(trial):
        _add_failure(found, number, trial, failed_at)
    if now is not None:
        if found and not found[-1].has_failed:
            found[-1].end = max(now, found[-1].end)
        elif not found and trial.start_time is not None:
            found.append(Stretch(number, trial.start_time, now, is_recorded=True))
    return found


def put_into_slots(stretches: Iterable[Stretch]) -> int:
    """Gives each stretch a slot; returns how many slots there are.

    A computed start gives way to the end of the stretch before it.
    """
    last: list[Stretch] = []  # of each slot
    for stretch in sorted(stretches, key=lambda each: (each.start, each.end)):
        tolerance_s = 0.0 if stretch.is_recorded else TOLERANCE_S
        for slot, before in enumerate(last):
            if before.end <= min(stretch.start + tolerance_s, max(stretch.start, stretch.end)):
                stretch.start = max(stretch.start, before.end)
                stretch.slot, last[slot] = slot, stretch
                break
        else:
            stretch.slot = len(last)
            last.append(stretch)
    return len(last)


def busy_share(stretches: Sequence[Stretch], slots: int) -> float | None:
    """Returns the share of the slots' time in which trials ran, None if there was no time.

    Args:
        stretches: All stretches.
        slots: How many slots there are.
    """
    if not stretches:
        return None
    span_s = max(each.end for each in stretches) - min(each.start for each in stretches)
    if not span_s:
        return None
    return min(1.0, sum(each.end - each.start for each in stretches) / (span_s * slots))


def _runs(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The results, cut where a trial was started again."""
    runs: list[list[dict[str, Any]]] = []
    for result in results:
        if as_number(result.get(TIMESTAMP)) is None:
            continue
        if runs and _goes_on(runs[-1][-1], result):
            runs[-1].append(result)
        else:
            runs.append([result])
    return runs


def _goes_on(last: dict[str, Any], result: dict[str, Any]) -> bool:
    before = as_number(last.get(_ITERATIONS_SINCE_RESTORE)) or 0
    count = as_number(result.get(_ITERATIONS_SINCE_RESTORE)) or 0
    return last.get(PID) == result.get(PID) and count > before


def _stretch(number: int, run: list[dict[str, Any]], started: float | None) -> Stretch:
    trained_s = as_number(run[-1].get(_SINCE_RESTORE)) or 0.0
    last_second = as_number(run[-1].get(TIMESTAMP)) or 0.0
    first_second = as_number(run[0].get(TIMESTAMP)) or 0.0
    start = first_second - (as_number(run[0].get(_SINCE_RESTORE)) or 0.0)
    # A record of another run of the trial would lie far off.
    is_recorded = started is not None and started <= first_second + TOLERANCE_S
    if started is not None and is_recorded:
        start = started
    # Within that second, and not before it could have ended.
    end = max(last_second, min(start + trained_s, last_second + TOLERANCE_S))
    return Stretch(number, start, max(start, end), is_recorded=is_recorded)


def _failure_times(trial: Trial) -> list[float]:
    if not trial.num_failures or not trial.dirname:
        return []
    try:
        path = os.path.join(trial.path, EXPR_ERROR_FILE)
        with open(path, encoding="utf-8", opener=no_link) as file:
            dates = _FAILURE.findall(file.read())
        return [time.mktime(time.strptime(date, DATE_FORMAT)) for date in dates]
    except (OSError, ValueError, OverflowError):
        return []


def _add_failure(found: list[Stretch], number: int, trial: Trial, failed_at: float) -> None:
    """Marks the stretch that a failure ended; adds a stretch if there was no result before."""
    before = [each for each in found if each.start <= failed_at + TOLERANCE_S]
    if before and not before[-1].has_failed:
        before[-1].end = max(before[-1].end, failed_at)
        before[-1].has_failed = True
    elif not before and trial.start_time is not None:
        end = max(failed_at, trial.start_time)
        found.insert(0, Stretch(number, trial.start_time, end, has_failed=True, is_recorded=True))
