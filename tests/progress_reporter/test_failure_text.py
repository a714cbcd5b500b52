from __future__ import annotations

import os

import pytest

import localtune.callback
from localtune.error import TrialTaskError, WorkerDiedError
from localtune.progress_reporter.failure_text import (
    cause_of,
    failure_text,
    place_of,
    traceback_lines,
)
from tests.progress_reporter.runs import make_trial, user_error


def failed(error: BaseException | None) -> str:
    trial = make_trial()
    trial.error = error
    return cause_of(trial)


def frames(*paths: str) -> str:
    lines = [f'  File "{path}", line {i}, in f\n    f()' for i, path in enumerate(paths, 1)]
    return "\n".join(["Traceback (most recent call last):", *lines, "ValueError: x"])


def test_user_code_that_raised_is_named_by_the_exception_itself() -> None:
    error = TrialTaskError("long text of the whole failure")
    error.summary = "KeyError: 'lr'"

    assert failed(error) == "KeyError: 'lr'"


def test_an_exception_that_could_not_travel_is_read_from_the_traceback() -> None:
    assert failed(user_error("my.lib.Oops: bad lr")) == "my.lib.Oops: bad lr"


def test_only_the_first_line_of_a_long_message_is_shown() -> None:
    error = user_error("ValueError: shapes differ:\n  left (2, 3)\n  right (3, 2)")

    assert failed(error) == "ValueError: shapes differ:"


def test_the_last_exception_of_a_chain_is_shown() -> None:
    first = user_error("KeyError: 1").traceback_text
    second = user_error("ValueError: 2").traceback_text
    error = TrialTaskError("", traceback_text=f"{first}\nDuring handling, another:\n\n{second}")

    assert failed(error) == "ValueError: 2"


def test_a_dead_worker_is_shown_by_its_message_and_not_by_its_crash_stack() -> None:
    error = WorkerDiedError(
        "The worker process was killed by SIGSEGV: a crash.\n\nIts files are here",
        traceback_text='Fatal Python error\n\n  File "/a/train.py", line 3 in f\n\nExtensions: x',
    )

    assert failed(error) == "The worker process was killed by SIGSEGV: a crash."


def test_other_errors_are_shown_by_class_and_message() -> None:
    assert failed(OSError("disk full\nreally")) == "OSError: disk full"
    assert failed(ValueError()) == "ValueError"


def test_a_trial_without_an_error_failed_for_unknown_reasons() -> None:
    assert failed(None) == "unknown error"
    assert failed(TrialTaskError("")) == "unknown error"


def test_messages_cannot_steer_the_terminal() -> None:
    assert failed(ValueError("\x1b[2Jgone")) == r"ValueError: \x1b[2Jgone"


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        (["/srv/ann/train.py", "/srv/ann/model.py"], "model.py:2"),
        (["/srv/ann/train.py", "/venv/lib/python3.11/site-packages/torch/x.py"], "train.py:1"),
        (["/srv/ann/train.py", "/usr/lib/python3.11/json/decoder.py"], "train.py:1"),
        (["/srv/ann/train.py", os.path.abspath(localtune.callback.__file__)], "train.py:1"),
        (["/srv/ann/train.py", "<string>"], "train.py:1"),
        (["/usr/lib/python3.11/json/decoder.py"], "decoder.py:1"),
    ],
)
def test_the_place_is_the_innermost_one_in_the_code_of_the_user(
    paths: list[str], place: str
) -> None:
    trial = make_trial()
    trial.error = TrialTaskError("", traceback_text=frames(*paths))

    assert place_of(trial) == place


def test_the_stack_of_a_crash_begins_with_the_innermost_place() -> None:
    trial = make_trial()
    stack = '  File "/a/model.py", line 3 in f\n  File "/a/train.py", line 9 in <module>\n'
    trial.error = WorkerDiedError("died", traceback_text=f"Fatal Python error: x\n\n{stack}")

    assert failure_text(trial) == "died (model.py:3)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (frames("/a.py", "/b.py"), ["    f()", "ValueError: x"]),
        (
            "Fatal Python error: x\n\nCurrent thread 1:\n  f\n  g\n",
            ["Fatal Python error: x", "Current thread 1:"],
        ),
    ],
)
def test_of_a_long_stack_the_end_is_shown_where_it_happened(text: str, shown: list[str]) -> None:
    trial = make_trial()
    trial.error = WorkerDiedError("died", traceback_text=text)

    assert traceback_lines(trial, 2) == shown
    assert traceback_lines(trial) == [line for line in text.splitlines() if line]


def test_a_failure_without_a_place_is_its_cause() -> None:
    trial = make_trial()
    trial.error = ValueError("x")

    assert failure_text(trial) == "ValueError: x"
