from __future__ import annotations

from typing import Any

import pytest

from localtune.progress_reporter.events import EventKind, TrialEvent
from localtune.progress_reporter.facts import RunFacts
from localtune.progress_reporter.frame import build_frame
from localtune.progress_reporter.line import line_width, plain
from localtune.progress_reporter.machine import MachineLoad
from localtune.progress_reporter.tracker import TrialTracker
from localtune.trial.status import Status
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
        tracker.set_status(trial, Status.TERMINATED)
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
        "1 running · 3 finished",
        "1 of 4 CPU in use",
        "",
        "t00003  0 iterations",
        "",
        "Trial   State     loss ↓   lr  Iter  Time",
        "──────  ────────  ──────  ───  ────  ────",
        "t00000  finished       0  0.1     2  3.0s",
        "t00001  finished   0.125  0.2     2  3.0s",
        "t00002  finished    0.25  0.3     2  3.0s",
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
        "no trials yet",
        "0 of 4 CPU in use",
        "",
        "Results in /results/sweep",
    ]


def test_without_a_metric_the_running_trials_are_shown_with_their_metrics() -> None:
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

    shown = [line for line in lines if line.startswith("t0")]
    assert sum("iterations" in line for line in shown) == 7
    assert lines[12] == "… 23 more running"
    assert len(shown) == 7 + 10


def test_bars_show_how_far_running_trials_are_and_the_estimate_knows() -> None:
    tracker = busy_tracker(running=0, finished=4)
    for number, iterations in ((4, 10), (5, 20)):
        trial = make_trial(number, stopping_criterion={"training_iteration": 20})
        trial.set_status(Status.RUNNING)
        trial.last_result = report(trial, iterations, loss=0.25)
        tracker.started(trial)
    lines = frame(tracker, known=6, elapsed_s=55)

    # 5.5 trials in 55 s, 34.5 are left.
    assert lines[0].endswith("about 5m 45s left")
    assert lines[5:7] == [
        "t00004  " + "━" * 15 + "─" * 15 + "  10/20  loss=0.25  15s",
        "t00005  " + "━" * 30 + "  20/20  loss=0.25  30s",
    ]


def test_the_scheduler_may_end_trials() -> None:
    facts = RunFacts("/results/sweep", metric="loss", mode="min", max_iterations=4)
    tracker = busy_tracker(running=0, finished=0)
    trial = make_trial()
    trial.set_status(Status.RUNNING)
    trial.last_result = report(trial, 1)
    tracker.started(trial)

    assert frame(tracker, facts, size=(30, 24), known=1)[3] == "t00000  ━━━━─────────────  1/4"


def test_the_best_trials_have_the_curve_of_their_metric() -> None:
    tracker = busy_tracker(running=0, finished=1)
    trial = ended_trial(0, loss=0)
    for iteration in range(8):
        tracker.add_value(trial, iteration + 1, 7.0 - iteration)

    assert any("█▇▆▅▄▃▂▁" in line for line in frame(tracker))


def test_a_failure_stays_in_sight_when_others_have_ended_since() -> None:
    failed = TrialEvent(EventKind.FAILED, make_trial(9), 70, "9/40", "ValueError: bad lr")
    lines = frame(busy_tracker(), failures=[failed])

    events = [line for line in lines if line.startswith("00:01:")]
    assert events[0] == "00:01:10 t00009 failed 9/40  ValueError: bad lr"
    assert len(events) == 3


def test_the_load_of_the_machine_is_left_out_where_it_does_not_fit() -> None:
    load = MachineLoad(0.871, 12 * 2**30, 32 * 2**30)
    text = "4 of 4 CPU in use · machine: CPU 87%, memory 12.0 GiB of 32.0 GiB"

    assert frame(busy_tracker(), load=load)[3] == text
    assert frame(busy_tracker(), load=load, size=(40, 24))[3] == "4 of 4 CPU in use"
    assert text not in frame(busy_tracker(), load=load, size=(80, 15))


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
        rows = sum(line.startswith("t0") and "iterations" not in line for line in lines)
        return rows, sum(line.startswith("00:01:20") for line in lines)

    assert [shown(height) for height in (24, 16, 12, 9, 5)] == [
        (5, 3),
        (4, 3),
        (3, 1),
        (2, 0),
        (0, 0),
    ]
