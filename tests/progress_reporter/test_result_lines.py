from __future__ import annotations

from localtune.progress_reporter.line import plain
from localtune.progress_reporter.result_lines import ResultLines
from tests.progress_reporter.runs import make_trial, report

RESULT = report(make_trial(), 3, acc=0.5, loss=0.25, val={"f1": 1, "f2": 2, "f3": 3})


def test_a_result_is_shown_with_the_metric_of_the_run_first() -> None:
    lines = ResultLines("loss", in_full=False).lines(make_trial(7), RESULT, 83)

    assert [plain(line) for line in lines] == [
        "00:01:23 t00007 iteration 3  loss=0.25  acc=0.5  val/f1=1  val/f2=2  after 4.5s"
    ]


def test_a_result_without_the_metric_is_shown_with_its_other_metrics() -> None:
    (line,) = ResultLines("gone", in_full=False).lines(make_trial(), {"acc": 1}, 0)

    assert plain(line) == "00:00:00 t00000 iteration ?  acc=1"


def test_in_full_the_result_follows_indented() -> None:
    lines = ResultLines("loss", in_full=True).lines(make_trial(), {"loss": 1, "text": "\x1b"}, 0)

    assert [plain(line) for line in lines[1:]] == ["    loss: 1", r'    text: "\u001b"']


def test_each_trial_shows_one_result_every_five_seconds() -> None:
    lines = ResultLines(None, in_full=False)
    first, second = make_trial(0), make_trial(1)

    due = [lines.is_due(first, {}, now_s) for now_s in (0, 1, 4.9, 5, 6, 10)]

    assert due == [True, False, False, True, False, True]
    assert lines.is_due(second, {}, 6)


def test_the_final_result_is_always_shown() -> None:
    lines = ResultLines(None, in_full=False)
    trial = make_trial()
    lines.is_due(trial, {}, 0)

    assert lines.is_due(trial, {"done": True}, 1)
    assert not lines.is_due(trial, {"done": False}, 2)


def test_a_trial_that_has_ended_leaves_nothing_behind() -> None:
    lines = ResultLines(None, in_full=False)
    lines.is_due(make_trial(), {}, 0)
    lines.forget(make_trial())
    lines.forget(make_trial())

    assert lines._next_s == {}
