"""The errors that a user gets for a failed trial."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pytest

from localtune.controller.trial_errors import (
    error_of_exit,
    error_of_failed,
    error_of_fault,
    is_of_the_run,
)
from localtune.error import LocaltuneInternalError, StorageError, TrialTaskError
from localtune.execution.executor import WorkerExit
from localtune.trial.trial import Trial
from localtune.worker import messages


@pytest.fixture
def trial() -> Trial:
    trial = Trial("train", trial_id="abc_00000", experiment_path="/results/run")
    trial.dirname = "train_abc_00000"
    return trial


def failed(error: BaseException | None = None, **fields: Any) -> messages.Failed:
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
    return messages.Failed(**values)


def test_the_text_has_the_failure_its_place_and_advice(trial: Trial) -> None:
    error = error_of_failed(failed(ValueError("bad lr"), hint="Try less."), trial)
    text = str(error)
    assert text.startswith("ValueError: bad lr\n\nThe trial train_abc_00000 failed in train:\n")
    assert "in step" in text
    assert "Try less." in text
    assert text.endswith("Its files are in /results/run/train_abc_00000")
    assert type(error) is TrialTaskError
    assert error.summary == "ValueError: bad lr"
    assert isinstance(error.cause, ValueError)
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


class Strikes(Exception):
    """Does harm wherever it is loaded."""

    def __reduce__(self) -> Any:
        return (exit, (9,))


def test_an_exception_of_user_code_is_loaded_when_it_is_asked_for(trial: Trial) -> None:
    error = error_of_failed(failed(Strikes()), trial)
    trial.error = error
    again = pickle.loads(pickle.dumps(trial.kept_error))
    assert str(again) == str(error)
    with pytest.raises(SystemExit):
        _ = trial.error


def test_a_fault_of_the_run_names_the_step_that_failed(trial: Trial) -> None:
    try:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", "x")
    except OSError as fault:
        error = error_of_fault(fault, trial, "its directory could not be prepared")
    text = str(error)
    assert text.startswith("NotADirectoryError: [Errno 20] Not a directory: 'x'\n\n")
    assert "The trial train_abc_00000 failed because its directory could not be prepared." in text
    assert error.traceback_text.startswith("Traceback (most recent call last):\n")
    assert (error.trial_id, error.trial_dir) == ("abc_00000", trial.path)


@pytest.mark.parametrize(
    ("fault", "is_of_run"),
    [
        (StorageError("the database"), True),
        (LocaltuneInternalError("a bug"), True),
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EDQUOT, "full"), True),
        (OSError(errno.EIO, "broken"), True),
        (OSError(errno.EROFS, "read-only"), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (IsADirectoryError(errno.EISDIR, "a directory"), False),
        (PermissionError(errno.EACCES, "no"), False),
        (OSError(errno.EMFILE, "too many"), False),
        (ValueError("odd"), False),
        (RecursionError("deep"), False),
        (MemoryError(), False),
    ],
)
def test_a_fault_is_of_the_run_if_it_would_meet_all_trials(
    fault: Exception, is_of_run: bool, tmp_path: Path
) -> None:
    assert is_of_the_run(fault, str(tmp_path)) is is_of_run


def test_without_the_directory_of_the_experiment_no_trial_can_go_on(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert is_of_the_run(FileNotFoundError(errno.ENOENT, "gone"), gone)
    assert not is_of_the_run(ValueError("odd"), gone)
