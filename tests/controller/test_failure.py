"""The errors that a user gets for a failed trial."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from localtune.controller.failure import error_of_exit, error_of_failed, task_error
from localtune.error import TrialTaskError, TuneError
from localtune.execution.executor import WorkerExit
from localtune.experiment.trial import Trial
from localtune.worker import messages as m


@pytest.fixture
def trial() -> Trial:
    trial = Trial("train", trial_id="abc_00000", experiment_path="/results/run")
    trial.dirname = "train_abc_00000"
    return trial


def failed(error: BaseException | None = None, **fields: Any) -> m.Failed:
    values: dict[str, Any] = {
        "command": "Train",
        "type_name": "ValueError",
        "message": "bad lr",
        "traceback_text": "Traceback (most recent call last):\n  in step\nValueError: bad lr\n",
        "hint": "",
        "pickled_error": None if error is None else pickle.dumps(error),
        "fatal": False,
        **fields,
    }
    return m.Failed(**values)


class Picky(Exception):
    """Has a constructor of its own, and more than its text."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class Final(Exception):
    """Cannot be subclassed."""

    def __init_subclass__(cls) -> None:
        raise TypeError("final")


@pytest.mark.parametrize(
    "cause",
    [
        ValueError("x"),
        KeyError("x"),
        OSError(2, "gone"),
        Picky(3),
        UnicodeDecodeError("a", b"", 0, 1, "b"),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_an_error_is_of_both_types_and_survives_pickling(cause: Exception) -> None:
    error = task_error(cause, "the text")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(each, TrialTaskError)
        assert isinstance(each, TuneError)
        assert isinstance(each, type(cause))
        assert str(each) == "the text"
        assert type(each.cause) is type(cause)


@pytest.mark.parametrize("cause", [None, Final("x"), KeyboardInterrupt(), SystemExit(1)])
def test_what_cannot_be_both_is_a_task_error(cause: BaseException | None) -> None:
    error = task_error(cause, "the text")
    assert type(error) is TrialTaskError
    assert error.cause is cause
    assert str(error) == "the text"


def test_an_error_of_an_error_is_not_nested() -> None:
    assert type(task_error(TrialTaskError("inner"), "outer")) is TrialTaskError


def test_the_text_says_what_failed_where_and_what_to_do(trial: Trial) -> None:
    error = error_of_failed(failed(ValueError("bad lr"), hint="Try less."), trial)
    text = str(error)
    assert text.startswith("ValueError: bad lr\n\nThe trial train_abc_00000 failed in train:\n")
    assert "in step" in text
    assert "Try less." in text
    assert text.endswith("Its files are in /results/run/train_abc_00000")
    assert isinstance(error, ValueError)
    assert (error.trial_id, error.trial_dir) == ("abc_00000", trial.path)
    assert "in step" in error.traceback_text


@pytest.mark.parametrize("pickled", [None, b"garbage", pickle.dumps("no exception")])
def test_an_exception_that_is_lost_leaves_its_text(trial: Trial, pickled: bytes | None) -> None:
    error = error_of_failed(failed(pickled_error=pickled), trial)
    assert type(error) is TrialTaskError
    assert error.cause is None
    assert "ValueError: bad lr" in str(error)


def test_a_dead_worker_says_how_and_during_what(trial: Trial) -> None:
    error = error_of_exit(WorkerExit(-9), trial, "save")
    assert "SIGKILL" in str(error)
    assert "during save of the trial train_abc_00000" in str(error)
    assert trial.path in str(error)
    assert error.exit_code == -9
    again = pickle.loads(pickle.dumps(error))
    assert (again.exit_code, again.trial_id, str(again)) == (-9, "abc_00000", str(error))
