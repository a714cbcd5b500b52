"""Stretches of work are told from what was recorded, and put into slots."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from localtune.storage.failures import write_error
from localtune.tools.report.timeline import Stretch, busy_share, put_into_slots, stretches_of
from localtune.trial.history_files import read_results
from localtune.trial.trial import Trial
from tests.records import trial_at
from tests.small_runs import Counting, PauseAlways, fit


def result(second: int, since_restore_s: float, count: int, pid: int = 1) -> dict[str, Any]:
    return {
        "timestamp": second,
        "time_since_restore": since_restore_s,
        "iterations_since_restore": count,
        "pid": pid,
    }


def trial(start_time: float | None = 100.4, failures: int = 0, path: Path = Path("/x/y")) -> Trial:
    made = Trial("train", trial_id="a", experiment_path=str(path.parent))
    made.dirname = path.name
    made.start_time, made.num_failures = start_time, failures
    return made


def spans(stretches: list[Stretch]) -> list[tuple[float, float]]:
    return [(round(each.start, 3), round(each.end, 3)) for each in stretches]


def test_a_run_goes_from_its_recorded_start_to_its_last_result() -> None:
    results = [result(101, 0.5, 1), result(102, 1.8, 2)]

    assert spans(stretches_of(0, trial(), results, None)) == [(100.4, 102.2)]


@pytest.mark.parametrize(("trained_s", "end"), [(0.1, 102.0), (9.0, 103.0)])
def test_the_end_lies_in_the_second_of_the_last_result(trained_s: float, end: float) -> None:
    assert spans(stretches_of(0, trial(), [result(102, trained_s, 1)], None)) == [(100.4, end)]


def test_a_new_start_is_a_stretch_of_its_own() -> None:
    results = [result(101, 0.5, 1), result(110, 2.0, 1, pid=2), result(111, 3.0, 2, pid=2)]

    first, second = stretches_of(0, trial(), results, None)

    assert spans([first, second]) == [(100.4, 101.0), (108.0, 111.0)]
    assert (first.is_recorded, second.is_recorded) == (True, False)


def test_a_process_that_is_used_again_starts_a_new_stretch() -> None:
    results = [result(101, 0.5, 1), result(105, 0.5, 1)]

    assert len(stretches_of(0, trial(), results, None)) == 2


def test_a_running_trial_runs_until_now() -> None:
    assert spans(stretches_of(0, trial(), [result(101, 0.5, 1)], 150.0)) == [(100.4, 150.0)]
    assert spans(stretches_of(0, trial(), [], 150.0)) == [(100.4, 150.0)]
    assert stretches_of(0, trial(start_time=None), [], None) == []


def test_a_failure_ends_a_stretch_with_or_without_results(tmp_path: Path) -> None:
    start = time.time() - 1000
    failed = trial(start, 1, tmp_path)
    write_error(trial_at(tmp_path), 1, start + 50, ValueError("no"))

    (without,) = stretches_of(0, failed, [], None)
    (with_results,) = stretches_of(0, failed, [result(int(start) + 5, 4.0, 1)], None)

    for each in (without, with_results):
        assert each.has_failed
        assert each.end - each.start == pytest.approx(50, abs=1.01)


def test_results_without_times_are_no_stretch() -> None:
    assert stretches_of(0, trial(), [{"timestamp": "late"}, {}], None) == []


def test_slots_are_as_few_as_possible() -> None:
    stretches = [
        Stretch(0, 0, 10, is_recorded=True),
        Stretch(1, 5, 8, is_recorded=True),
        Stretch(2, 8.5, 20, is_recorded=True),
        Stretch(3, 10, 12, is_recorded=True),
    ]

    assert put_into_slots(stretches) == 2
    assert [each.slot for each in stretches] == [0, 1, 1, 0]
    assert busy_share(stretches, 2) == pytest.approx((10 + 3 + 11.5 + 2) / 40)
    assert put_into_slots([]) == 0
    assert busy_share([], 0) is None


def test_a_start_that_is_not_recorded_gives_way_by_a_second() -> None:
    told = [Stretch(0, 0, 10), Stretch(0, 9.5, 20)]
    recorded = [Stretch(0, 0, 10), Stretch(1, 9.5, 20, is_recorded=True)]

    assert (put_into_slots(told), told[1].start) == (1, 10)
    assert (put_into_slots(recorded), recorded[1].start) == (2, 9.5)


def test_a_trial_that_was_paused_has_a_stretch_for_each_time_it_ran(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path, {"steps": 3}, scheduler=PauseAlways())
    (paused,) = grid._experiment_analysis.trials

    found = stretches_of(0, paused, read_results(paused.path), None)

    assert len(found) == 3
    assert put_into_slots(found) == 1
