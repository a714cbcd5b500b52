from __future__ import annotations

from typing import Any

import pytest

from localtune.experiment.status import Status
from localtune.progress_reporter.events import EventKind, TrialEvent
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.frame import build_frame
from localtune.progress_reporter.line import line_width, plain
from localtune.progress_reporter.tracker import TrialTracker
from tests.progress_reporter.runs import ended_trial, make_trial, report

FACTS = RunFacts(
    "/results/sweep",
    metric="loss",
    mode="min",
    total_samples=40,
    resources={"CPU": 4},
    searcher_name="OptunaSearch",
    scheduler_name="ASHAScheduler",
)


def busy_tracker(running: int = 4, finished: int = 20) -> TrialTracker:
    tracker = TrialTracker("loss", "min")
    for number in range(finished):
        trial = ended_trial(number, loss=number / 8)
        tracker.started(trial)
        tracker.moved(trial, Status.TERMINATED)
    for number in range(finished, finished + running):
        trial = make_trial(number)
        trial.set_status(Status.RUNNING)
        tracker.started(trial)
    return tracker


def frame(
    tracker: TrialTracker, facts: RunFacts = FACTS, size: tuple[int, int] = (80, 24), **options: Any
) -> list[str]:
    event = TrialEvent(EventKind.FINISHED, ended_trial(3, loss=0.5), 80, "20/40")
    options = {"events": [event] * 3, "known": 30, "elapsed_s": 83, **options}
    return [plain(line) for line in build_frame(facts, tracker, size=size, **options)]


def test_shows_head_table_latest_events_and_place() -> None:
    lines = frame(busy_tracker(running=1, finished=3), known=4)

    assert lines == [
        "sweep  OptunaSearch, ASHAScheduler                  00:01:23, about 17m 04s left",
        "━━━━━━━━" + "─" * 67 + " 3/40",
        "1 running · 3 finished · 4 at once",
        "",
        "Trial   State     loss ↓   lr  Iter  Time",
        "──────  ────────  ──────  ───  ────  ────",
        "t00000  finished       0  0.1     2  3.0s",
        "t00001  finished   0.125  0.2     2  3.0s",
        "t00002  finished    0.25  0.3     2  3.0s",
        "t00003  running        -  0.4     0    0s",
        "",
        *["00:01:20 t00003 finished 20/40  2 iterations  loss=0.5  in 3.0s"] * 3,
        "",
        "Results in /results/sweep",
    ]


def test_a_run_without_an_end_has_no_bar() -> None:
    lines = frame(busy_tracker(), RunFacts("/results/sweep", metric="loss", mode="min"))

    assert lines[1].startswith("4 running")


def test_the_final_frame_leaves_events_place_and_estimate_to_the_summary() -> None:
    text = "\n".join(frame(busy_tracker(), is_final=True))

    assert "Results in" not in text
    assert "00:01:20" not in text
    assert "left" not in text


def test_before_the_first_trial_there_is_only_the_head() -> None:
    lines = frame(TrialTracker("loss", "min"), known=0, events=[])

    assert lines[1:] == [
        "─" * 75 + " 0/40",
        "no trials yet · 4 at once",
        "",
        "Results in /results/sweep",
    ]


def test_without_a_metric_the_running_trials_are_shown_with_what_they_report() -> None:
    tracker = TrialTracker(None, None)
    trial = make_trial()
    trial.set_status(Status.RUNNING)
    tracker.started(trial)
    trial.last_result = report(trial, 2, accuracy=0.75)

    lines = frame(tracker, RunFacts("/results/sweep"), known=1, events=[])

    assert lines[3].split() == ["Trial", "State", "accuracy", "lr", "batch", "Iter", "Time"]
    assert lines[5].split() == ["t00000", "running", "0.75", "0.1", "32", "2", "3.0s"]


def test_at_most_ten_trials_are_shown() -> None:
    lines = frame(busy_tracker(running=30, finished=30), size=(200, 200))

    assert sum(line.startswith("t0") for line in lines) == 10


@pytest.mark.parametrize("columns", [1, 5, 20, 39, 40, 60, 80, 300])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 10, 14, 24, 100])
def test_a_frame_fits_any_terminal_and_leaves_a_line(columns: int, height: int) -> None:
    event = TrialEvent(EventKind.FAILED, ended_trial(3), 80, "20/40", "ValueError: " + "x" * 500)
    lines = build_frame(
        FACTS,
        busy_tracker(),
        [event] * 3,
        known=30,
        elapsed_s=360_000,
        size=(columns, height),
    )

    assert 1 <= len(lines) <= max(height - 1, 1)
    assert max(map(line_width, lines)) <= columns


def test_the_less_room_the_less_is_shown() -> None:
    def shown(height: int) -> tuple[int, int]:
        lines = frame(busy_tracker(), size=(80, height))
        rows = sum(line.startswith("t0") for line in lines)
        return rows, sum(line.startswith("00:01:20") for line in lines)

    assert [shown(height) for height in (24, 16, 12, 9, 5)] == [
        (10, 3),
        (3, 3),
        (3, 0),
        (2, 0),
        (0, 0),
    ]
