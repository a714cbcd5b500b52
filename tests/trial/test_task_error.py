"""The error of user code as it is handed out."""

from __future__ import annotations

import pickle

import pytest

from localtune.error import TrialTaskError, TuneError, WorkerDiedError
from localtune.trial.task_error import OpenedWhenLoaded, opened_error


def closed(cause: BaseException | None) -> TrialTaskError:
    error = TrialTaskError("the text")
    error.pickled_cause = None if cause is None else pickle.dumps(cause)
    return error


def reopened(cause: Exception) -> object:
    return pickle.loads(pickle.dumps(OpenedWhenLoaded(closed(cause))))


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
    error = opened_error(closed(cause))
    for each in (error, pickle.loads(pickle.dumps(error)), reopened(cause)):
        assert isinstance(each, TrialTaskError)
        assert isinstance(each, TuneError)
        assert isinstance(each, type(cause))
        assert str(each) == "the text"
        assert type(each.cause) is type(cause)


def test_a_pickle_of_it_keeps_what_is_known_of_the_trial() -> None:
    kept = closed(KeyError("x"))
    kept.trial_id, kept.traceback_text, kept.summary = "abc", "Traceback", "KeyError: 'x'"
    error = pickle.loads(pickle.dumps(opened_error(kept)))
    assert (error.trial_id, error.traceback_text, error.summary) == (
        "abc",
        "Traceback",
        "KeyError: 'x'",
    )


@pytest.mark.parametrize("cause", [None, Final("x"), KeyboardInterrupt(), SystemExit(1)])
def test_what_cannot_be_both_is_a_task_error(cause: BaseException | None) -> None:
    error = opened_error(closed(cause))
    assert type(error) is TrialTaskError
    assert type(error.cause) is type(cause)
    assert str(error) == "the text"


@pytest.mark.parametrize("data", [b"garbage", pickle.dumps("no exception")])
def test_a_cause_that_cannot_be_loaded_is_none(data: bytes) -> None:
    kept = TrialTaskError("the text")
    kept.pickled_cause = data
    error = opened_error(kept)
    assert type(error) is TrialTaskError
    assert error.cause is None


def test_an_error_of_an_error_is_not_nested() -> None:
    assert type(opened_error(closed(TrialTaskError("inner")))) is TrialTaskError


@pytest.mark.parametrize("error", [None, ValueError("x"), WorkerDiedError("died")])
def test_other_errors_stay_as_they_are(error: BaseException | None) -> None:
    assert opened_error(error) is error
    loaded = pickle.loads(pickle.dumps(OpenedWhenLoaded(error))) if error else None
    assert type(loaded) is type(error)
