"""The built-in output where there is no live view: logs, pipes, dumb terminals."""

from __future__ import annotations

import io
import sys

import pytest

from localtune.trial.status import Status
from tests.progress_reporter.runs import Run, ended_trial, make_trial, report, save, user_error
from tests.progress_reporter.screen import FakeTerminal


def test_a_log_gets_one_line_per_event() -> None:
    run = Run(total_samples=5, resources={"CPU": 2}, searcher_name="S")
    run.setup()
    first = run.start()
    run.clock.advance(10)
    run.result(first, 1, loss=0.5)
    second = run.start(run.add(make_trial(1, max_failures=1)))
    run.fail(second)
    run.start(second)
    run.clock.advance(60)
    run.finish(first)
    run.fail(second, "KeyError: 1")

    assert run.lines == [
        "sweep: 5 trials, 2 CPU, searcher S",
        "Results in /results/sweep",
        "00:00:00 t00000 started  lr=0.1 batch=32",
        "00:00:10 t00001 started  lr=0.2 batch=32",
        "00:00:10 t00001 retried  failure 1 of 1 allowed  ValueError: bad lr (train.py:12)",
        *traceback_of("ValueError: bad lr"),
        "00:00:10 t00001 resumed  from the start",
        "00:01:10 t00000 finished 1/5  1 iteration  loss=0.5  in 1.5s",
        "00:01:10 t00001 failed 2/5  KeyError: 1 (train.py:12)  "
        "/results/sweep/train_t00001/error.txt",
        *traceback_of("KeyError: 1"),
    ]


def traceback_of(last_line: str) -> list[str]:
    """As :func:`runs.user_error` makes it, in a log."""
    return [
        "    Traceback (most recent call last):",
        '      File "/srv/ann/train.py", line 12, in train',
        "        step()",
        f"    {last_line}",
    ]


def test_a_failure_is_shown_with_its_iteration_and_the_end_of_a_long_traceback() -> None:
    run = Run(total_samples=2)
    trial = run.start()
    run.result(trial, 3, loss=0.5)
    trial.num_failures = 1
    trial.error = user_error("\n".join(f"line {number}" for number in range(20)))
    trial.set_status(Status.ERROR)
    run.output.on_trial_error(0, run.trials, trial)

    assert "line 0 (train.py:12)  3 iterations  loss=0.5  /results" in run.lines[1]
    assert run.lines[2:] == [f"    line {number}" for number in range(12, 20)]


def test_github_gets_groups_and_annotations() -> None:
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/srv/ann"}
    run = Run(total_samples=2, environ=environ)
    run.start()
    run.fail(run.start(run.add(make_trial(1, max_failures=1))))
    run.fail(run.trials[0], "ValueError: 100% wrong")
    run.output.warn("low memory")
    run.trials[1].last_result = report(run.trials[1], 1, loss=0.5)
    run.end()

    lines = run.lines
    group = lines.index("::group::Traceback of t00001")
    assert lines[group + 1 : group + 5] == traceback_of("ValueError: bad lr")
    assert lines[group + 5 : group + 7] == [
        "::endgroup::",
        "::warning file=train.py,line=12,title=Trial t00001 retried::"
        "ValueError: bad lr (train.py:12)",
    ]
    assert (
        "::error file=train.py,line=12,title=Trial t00000 failed::"
        "ValueError: 100%25 wrong (train.py:12)"
    ) in lines
    assert "::warning title=sweep::low memory" in lines
    table = lines.index("::group::Best trials")
    assert lines[table + 1].startswith("Trial ")
    assert "::endgroup::" in lines[table:]


def test_unlimited_retries_are_shown_without_a_limit() -> None:
    run = Run()
    run.fail(run.start(run.add(make_trial(max_failures=-1))))

    assert "retried  failure 1  ValueError" in run.lines[1]


def test_a_trial_that_reported_nothing_finishes_without_results() -> None:
    run = Run(metric=None, mode=None)
    run.finish(run.start())

    assert run.lines[-1] == "00:00:00 t00000 finished 1  no results  in 0s"


def test_pauses_and_returns_of_trials_are_shown() -> None:
    run = Run()
    trial = run.start()
    run.result(trial, 3, loss=0.5)
    run.pause(trial)
    save(trial, iteration=3)
    run.step(1)
    run.step(1)
    run.start(trial)

    assert run.lines[1:] == [
        "00:00:01 t00000 paused  3 iterations  loss=0.5  in 4.5s",
        "00:00:02 t00000 resumed  after 3 iterations",
    ]


def test_trials_of_an_earlier_session_count_as_progress() -> None:
    run = Run(total_samples=3)
    run.trials = [ended_trial(0, loss=1), ended_trial(1, Status.ERROR, loss=1), make_trial(2)]
    run.finish(run.start(run.trials[2]))

    assert run.lines[-1].startswith("00:00:00 t00002 finished 3/3")
    assert len(run.lines) == 2


def test_a_trial_that_goes_on_where_an_earlier_session_left_it_is_resumed() -> None:
    run = Run()
    trial = run.add(make_trial())
    trial.last_result = {"training_iteration": 5}
    save(trial, iteration=4)
    run.start(trial)

    assert run.lines == ["00:00:00 t00000 resumed  after 4 iterations"]


def test_after_a_quiet_minute_the_state_is_shown() -> None:
    run = Run(total_samples=10)
    trial = run.start()
    run.start()
    run.result(trial, 1, loss=0.5)
    before = len(run.lines)
    for _ in range(59):
        run.step(1)
    assert run.lines[before:] == []

    for _ in range(121):
        run.step(1)

    state = "0/10 trials ended · 2 running · best loss=0.5 (t00000)"
    assert run.lines[before:] == [f"00:01:00 {state}", f"00:02:00 {state}", f"00:03:00 {state}"]


def test_an_event_starts_the_quiet_time_anew() -> None:
    run = Run()
    run.step(59)
    run.start()
    run.step(59)

    assert len(run.lines) == 1


def test_a_flood_of_trials_is_one_line_per_second() -> None:
    run = Run(total_samples=3072)
    run.setup()
    before = len(run.lines)
    for _ in range(3 * 1024):
        run.finish(run.start())
        run.step(1 / 1024)
    run.step(0.25)

    lines = run.lines[before:]
    # The first lines of the first second, then its sum, then the sums of the next two.
    assert len(lines) == 2 * 20 + 3
    assert lines[40:] == [
        "00:00:01 … more trials: 1,004 started, 1,004 finished 1024/3072",
        "00:00:02 … more trials: 1,024 started, 1,024 finished 2048/3072",
        "00:00:03 … more trials: 1,024 started, 1,024 finished 3072/3072",
    ]


def test_held_back_lines_are_counted_at_the_end() -> None:
    run = Run()
    for _ in range(25):
        run.start()
    run.end()

    assert "00:00:00 … more trials: 5 started 0" in run.lines


def test_results_are_shown_from_level_two_on() -> None:
    for verbose, expected in ((1, 0), (2, 1), (3, 4)):
        run = Run(verbose)
        trial = run.start()
        before = len(run.lines)
        run.result(trial, 1, loss=0.5)

        assert len(run.lines) - before == expected

    assert run.lines[1:] == [
        "00:00:00 t00000 iteration 1  loss=0.5  after 1.5s",
        "    loss: 0.5",
        "    time_total_s: 1.5",
        "    training_iteration: 1",
    ]


def test_results_are_shown_every_five_seconds_and_at_the_end() -> None:
    run = Run(2)
    trial = run.start()
    for iteration in range(1, 13):
        run.result(trial, iteration, loss=1, done=iteration == 12)
        run.clock.advance(1)

    told = [line.split()[3] for line in run.lines if "iteration " in line]
    assert told == ["1", "6", "11", "12"]


def test_a_flood_of_results_is_held_back() -> None:
    run = Run(2)
    for _ in range(100):
        run.result(run.start(), 1, loss=1)
    run.step(1)

    assert sum("iteration 1" in line for line in run.lines) == 20
    assert run.lines[-1].startswith("00:00:01 … more trials: 80 started, 80 reported a result")


def test_level_zero_is_silent_but_for_failures_at_the_end() -> None:
    run = Run(0)
    run.setup()
    run.output.log("log")
    run.output.warn("warn")
    run.finish(run.start())
    run.fail(run.start())
    run.step(100)
    assert run.text == ""

    run.end(interrupted=True)

    assert run.lines == [
        "1 of 2 trials failed",
        "  ValueError: bad lr (train.py:12)",
        "      t00001  1 failure  /results/sweep/train_t00001/error.txt",
    ]


def test_level_zero_without_failures_is_silent() -> None:
    run = Run(0)
    run.finish(run.start())
    run.end()

    assert run.text == ""


def test_the_end_shows_the_best_trials_and_the_summary() -> None:
    run = Run()
    for loss in (0.5, 0.25, 0.75):
        trial = run.start()
        run.result(trial, 1, loss=loss)
        run.finish(trial)
    run.clock.advance(5)
    before = len(run.lines)
    run.end()

    assert run.lines[before : before + 10] == [
        "",
        "Trial   State     loss ↓   lr  Iter  Time",
        "──────  ────────  ──────  ───  ────  ────",
        "t00001  finished    0.25  0.2     1  1.5s",
        "t00000  finished     0.5  0.1     1  1.5s",
        "t00002  finished    0.75  0.3     1  1.5s",
        "",
        "Done in 5.0s · 3 finished",
        "",
        "Best trial t00001",
    ]


def test_a_summary_before_the_end_is_shown_once() -> None:
    run = Run()
    run.start()
    run.output.summary(run.trials, interrupted=False, elapsed_s=1)
    text = run.text
    run.output.on_experiment_end(run.trials)

    assert run.text == text


def test_messages_are_lines_with_the_time() -> None:
    run = Run()
    run.clock.advance(61)
    run.output.log("saved\nall")
    run.output.warn("low memory")

    assert run.lines == [r"00:01:01 saved\nall", "00:01:01 Warning: low memory"]


def test_workers_may_write_themselves_unless_there_is_a_live_view() -> None:
    run = Run()
    assert not run.output.wants_worker_output

    run.start(run.add(make_trial(name="mine")))
    run.output.worker_output("epoch 1\nepoch 2\n", "t00000")
    run.output.worker_output("epoch 3", "")

    assert run.lines[1:] == ["mine │ epoch 1", "mine │ epoch 2", "epoch 3"]


def test_minus_one_sample_is_a_run_without_an_end() -> None:
    run = Run(total_samples=-1)
    run.setup(total_num_samples=-1)
    run.finish(run.start())

    assert run.lines[0] == "sweep: trials without end"
    assert "finished 1  " in run.lines[-1]


def test_setup_sets_the_number_of_trials_if_it_is_unknown() -> None:
    run = Run()
    run.setup(total_num_samples=7)

    assert run.lines[0] == "sweep: 7 trials"


def test_a_terminal_without_rich_gets_coloured_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    run = Run(stream=FakeTerminal())
    run.finish(run.start())
    run.step(1)

    assert "\x1b[1mt00000\x1b[0m \x1b[32mfinished\x1b[0m" in run.text
    assert len(run.lines) == 2


def test_no_color_is_honoured_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    run = Run(stream=FakeTerminal(), environ={"TERM": "xterm", "NO_COLOR": "1"})
    run.finish(run.start())
    run.end()

    assert "\x1b" not in run.text


def test_a_dumb_terminal_gets_plain_lines() -> None:
    run = Run(stream=FakeTerminal(), environ={"TERM": "dumb"})
    run.finish(run.start())
    run.step(1)
    run.end()

    assert "\x1b" not in run.text
    assert "t00000 finished" in run.text


def test_a_log_has_no_escape_codes() -> None:
    run = Run(3)
    trial = run.start(run.add(make_trial(params={"text": "\x1b[2Jred", "lr": 1})))
    run.result(trial, 1, loss=1, note="\x1b[31m")
    run.fail(trial, "ValueError: \x1b[2J")
    run.end()

    assert "\x1b" not in run.text


@pytest.mark.parametrize("columns", ["20", "300"])
def test_tables_fit_the_width_of_a_plain_terminal(columns: str) -> None:
    run = Run(environ={"COLUMNS": columns})
    params = {f"parameter_{i}": i for i in range(40)}
    for number in range(2):
        trial = run.start(run.add(make_trial(number, params={**params, "parameter_0": number})))
        run.result(trial, 1, loss=0.5)
        run.finish(trial)
    before = len(run.lines)
    run.end()

    table = run.lines[before : before + 5]
    assert all(len(line) <= int(columns) for line in table)
    assert "t00000" in table[3]


def test_tables_in_a_log_are_at_most_120_columns_wide() -> None:
    run = Run(environ={})
    trial = run.start(run.add(make_trial(params={f"parameter_{i}": i for i in range(40)})))
    run.result(trial, 1, loss=0.5)
    run.finish(trial)
    before = len(run.lines)
    run.end()

    assert 100 < max(map(len, run.lines[before : before + 4])) <= 120


def test_an_ascii_stream_gets_ascii() -> None:
    raw = io.BytesIO()
    run = Run(stream=io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    trial = run.start(run.add(make_trial(params={"model": "größe"})))
    run.result(trial, 1, loss=0.5)
    run.finish(trial)
    run.end()

    text = raw.getvalue().decode("ascii")
    assert "started  model=gr??e" in text
    assert "loss v" in text


def test_a_stream_that_breaks_does_not_end_the_run() -> None:
    stream = io.StringIO()
    run = Run(stream=stream)
    trial = run.start()
    stream.close()

    run.finish(trial)
    run.step(100)
    run.end()


def test_setup_measures_time_from_the_start_of_the_run() -> None:
    run = Run()
    run.clock.advance(100)
    run.setup()
    run.start()

    assert run.lines[-1].startswith("00:00:00 ")
