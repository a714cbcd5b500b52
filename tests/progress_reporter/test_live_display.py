"""The built-in output on a terminal, rendered by rich and read back by a small terminal."""

from __future__ import annotations

import io
import os
import sys

import pytest

from localtune.error import ExtraMissingError
from localtune.progress_reporter.live_display import LiveDisplay
from tests.progress_reporter.runs import Run, make_trial
from tests.progress_reporter.screen import FakeTerminal, Screen


class LiveRun(Run):
    """A run on a terminal of a fixed size."""

    def __init__(self, columns: int = 80, lines: int = 24, verbose: int = 1, **options: object):
        self.size = (columns, lines)
        environ = {"TERM": "xterm", "COLUMNS": str(columns), "LINES": str(lines)}
        super().__init__(verbose, stream=FakeTerminal(), environ=environ, **options)

    @property
    def screen(self) -> Screen:
        assert isinstance(self.stream, FakeTerminal)
        return self.stream.screen(*self.size)

    def play(self, trials: int = 12) -> None:
        """Some trials that report, finish and fail."""
        self.setup(total_num_samples=trials)
        for number in range(trials):
            trial = self.start()
            self.step(0.1)
            self.result(trial, 1, loss=1 / (number + 2))
            self.step(0.5)
            if number % 5 == 4:
                self.fail(trial)
            else:
                self.finish(trial)
            self.step(0.5)


def test_the_frame_is_drawn_in_place() -> None:
    run = LiveRun()
    run.setup(total_num_samples=10)
    trial = run.start()
    run.step(1)
    run.result(trial, 3, loss=0.5)
    run.step(1)

    assert run.screen.lines == [
        "sweep" + " " * 67 + "00:00:02",
        "━━━━━━━━" + "─" * 67 + " 0/10",
        "1 running",
        "machine: CPU 50%, memory 1.0 GiB of 4.0 GiB",
        "",
        "t00000  3 iterations  loss=0.5  4.5s",
        "",
        "Trial   State    loss ↓   lr  batch  Iter  Time",
        "──────  ───────  ──────  ───  ─────  ────  ────",
        "t00000  running     0.5  0.1     32     3  4.5s",
        "",
        "Results in /results/sweep",
    ]
    assert run.screen.scrolled == []


def test_failures_stay_above_the_frame() -> None:
    run = LiveRun()
    run.setup(total_num_samples=10)
    run.fail(run.start())
    run.step(1)
    run.fail(run.start(), "KeyError: 1")
    run.step(1)

    lines = run.screen.lines
    assert lines[0].startswith("00:00:00 t00000 failed 1/10  ValueError: bad lr (train.py:12)")
    assert [line[:30] for line in lines].count("00:00:00 t00000 failed 1/10  V") == 2
    assert run.screen.text.count("sweep      ") == 1


def test_starts_and_ends_show_in_the_frame_only() -> None:
    run = LiveRun()
    run.setup()
    run.finish(run.start())
    run.step(1)

    assert run.screen.lines[0].startswith("sweep")
    assert any(line.startswith("00:00:00 t00000 finished") for line in run.screen.lines)


def test_level_two_keeps_every_event_and_result() -> None:
    run = LiveRun(verbose=2)
    run.setup()
    trial = run.start()
    run.result(trial, 1, loss=0.5)
    run.finish(trial)
    run.step(1)

    assert [line.split()[2] for line in run.screen.lines[:3]] == [
        "started",
        "iteration",
        "finished",
    ]
    assert run.screen.lines[3].startswith("sweep")


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (20, 24), (300, 24), (80, 5), (40, 10)])
def test_a_run_leaves_its_last_frame_and_the_summary(columns: int, lines: int) -> None:
    run = LiveRun(columns, lines)
    run.play()
    run.end()

    screen = run.screen
    heads = [line for line in screen.text.splitlines() if line.startswith("sweep ")]
    assert len(heads) == 1
    flowing = "".join(screen.text.splitlines())
    assert "10 finished · 2 failed" in flowing
    assert "Best trial t00011" in flowing
    assert "2x ValueError: bad lr (train.py:12)" in flowing
    assert screen.cursor_column == 0


def test_the_cursor_is_never_hidden() -> None:
    run = LiveRun()
    run.play()
    assert "\x1b[?25l" not in run.text

    run.end()

    assert "\x1b[?25l" not in run.text
    assert run.screen.cursor_is_visible


def test_a_frame_is_drawn_at_most_four_times_per_second() -> None:
    run = LiveRun()
    run.setup(total_num_samples=10_000)
    for _ in range(10 * 1024):
        run.finish(run.start())
        run.step(1 / 1024)

    assert run.text.count("\x1b[1msweep") == 10 * 4


def test_an_idle_run_is_redrawn_by_ticks_alone() -> None:
    run = LiveRun()
    run.setup()
    for _ in range(3):
        run.clock.advance(1)
        run.output.tick(run.trials)

    assert run.screen.lines[0].endswith("00:00:03")


def test_a_frame_that_becomes_smaller_leaves_nothing_behind() -> None:
    run = LiveRun()
    run.setup()
    trials = [run.start() for _ in range(9)]
    run.step(1)
    for trial in trials:
        run.pause(trial)
    run.step(1)

    assert run.screen.lines[2].startswith("9 paused") or "9 paused" in run.screen.lines[1]
    assert not any(line.startswith("t0000") for line in run.screen.lines)


def test_messages_and_prints_of_workers_go_above_the_frame() -> None:
    run = LiveRun()
    run.setup()
    run.start()
    run.step(1)
    assert run.output.wants_worker_output

    run.output.log("saved")
    run.output.warn("low memory")
    run.output.worker_output("epoch 1\n\x1b[32mepoch 2\x1b[0m\n", "t00000")
    run.output.worker_output("\x1b[2Jepoch 3 [bold]", "")
    run.step(1)

    assert run.screen.lines[:6] == [
        "00:00:01 saved",
        "00:00:01 Warning: low memory",
        "t00000 │ epoch 1",
        "t00000 │ epoch 2",
        "epoch 3 [bold]",
        "sweep" + " " * 67 + "00:00:02",
    ]
    assert "\x1b[32mepoch 2" in run.text


def test_prints_of_this_process_go_above_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    run = Run(stream=terminal)
    run.setup()
    run.start()
    run.step(1)
    print("hello from a callback")
    run.step(1)
    run.end()
    print("after the run")

    lines = terminal.screen(80, 50).lines
    assert lines[0] == "hello from a callback"
    assert lines[1].startswith("sweep")
    assert lines[-1] == "after the run"
    assert sys.stdout is terminal


def test_a_stream_of_its_own_leaves_the_standard_output_alone() -> None:
    before = sys.stdout
    run = LiveRun()
    run.setup()
    run.step(1)

    assert sys.stdout is before


def test_a_terminal_that_goes_away_ends_no_run() -> None:
    run = LiveRun()
    run.play(3)
    run.stream.close()
    run.step(1)
    run.output.warn("still here")

    run.end()


def test_no_color_is_honoured() -> None:
    environ = {"TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "80", "LINES": "24"}
    run = Run(stream=FakeTerminal(), environ=environ)
    run.setup()
    run.fail(run.start())
    run.step(1)
    run.end()

    assert "\x1b[3" not in run.text
    assert "\x1b[1m" in run.text


def test_colours_are_used_otherwise() -> None:
    run = LiveRun()
    run.fail(run.start())

    assert "\x1b[31mfailed\x1b[0m" in run.text


def test_text_of_the_user_is_no_markup() -> None:
    run = LiveRun()
    trial = run.start(run.add(make_trial(params={"[red]x": "[/red]", "y": ":smile:"})))
    run.fail(run.start(), "ValueError: [bold]no[/bold] :smile:")
    run.result(trial, 1, loss=1)
    run.step(1)

    assert "ValueError: [bold]no[/bold] :smile:" in run.screen.text
    assert any(line.split()[3:5] == ["[/red]", ":smile:"] for line in run.screen.lines)
    assert "[red]x  y" in run.screen.text


def test_an_ascii_terminal_gets_ascii() -> None:
    class AsciiTerminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    run = Run(stream=AsciiTerminal(raw, encoding="ascii", write_through=True), total_samples=2)
    run.start()
    run.step(1)

    screen = Screen(80, 24)
    screen.feed(raw.getvalue().decode("ascii"))
    assert screen.lines[1].startswith("=====")


def test_without_rich_the_live_view_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[rich\]"):
        LiveDisplay(FakeTerminal(), environ=os.environ)


def test_level_zero_needs_no_live_view() -> None:
    run = LiveRun(verbose=0)
    run.play()
    run.step(10)

    assert run.text == ""
    assert not run.output.wants_worker_output


def test_a_paused_trial_is_shown_in_the_frame() -> None:
    run = LiveRun()
    trial = run.start()
    run.result(trial, 2, loss=0.5)
    run.pause(trial)
    run.step(1)

    assert "t00000  paused" in run.screen.text
    assert "00:00:01 t00000 paused  2 iterations  loss=0.5  in 3.0s" in run.screen.text
