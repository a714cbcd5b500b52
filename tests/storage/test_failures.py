from __future__ import annotations

import datetime
import pickle
import threading
from pathlib import Path

import pytest

from localtune.error import TrialTaskError
from localtune.storage.failures import read_error, write_error
from tests.records import trial_at

TIME_S = datetime.datetime(2030, 12, 31, 23, 59, 58).timestamp()


class Unpicklable(Exception):
    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class Unloadable(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


def test_the_text_has_the_number_time_and_cause_of_the_failure(tmp_path: Path) -> None:
    error = TrialTaskError("ValueError: bad\n\nTraceback:\n  line 1\n")

    write_error(trial_at(tmp_path), 1, TIME_S, error)

    assert (tmp_path / "error.txt").read_text() == (
        "Failure # 1 (occurred at 2030-12-31_23-59-58)\nValueError: bad\n\nTraceback:\n  line 1\n"
    )


def test_each_failure_is_a_block_of_its_own(tmp_path: Path) -> None:
    trial = trial_at(tmp_path)
    write_error(trial, 1, TIME_S, ValueError("first"))
    write_error(trial, 2, TIME_S + 1, ValueError("second"))

    assert (tmp_path / "error.txt").read_text() == (
        "Failure # 1 (occurred at 2030-12-31_23-59-58)\nfirst\n"
        "Failure # 2 (occurred at 2030-12-31_23-59-59)\nsecond\n"
    )


def test_an_error_without_a_message_is_named(tmp_path: Path) -> None:
    write_error(trial_at(tmp_path), 1, TIME_S, ValueError())

    assert (tmp_path / "error.txt").read_text().endswith(")\nValueError()\n")


def test_text_that_is_no_valid_unicode_is_escaped(tmp_path: Path) -> None:
    write_error(trial_at(tmp_path), 1, TIME_S, ValueError("é\ud800"))

    assert (tmp_path / "error.txt").read_bytes().endswith("é\\ud800\n".encode())


def test_the_pickle_is_the_last_failure(tmp_path: Path) -> None:
    trial = trial_at(tmp_path)
    write_error(trial, 1, TIME_S, ValueError("first"))
    write_error(trial, 2, TIME_S, KeyError("second"))

    error = pickle.loads((tmp_path / "error.pkl").read_bytes())
    assert isinstance(error, KeyError)
    assert error.args == ("second",)


@pytest.mark.parametrize("error", [Unpicklable(), Unloadable(5, "no disk")])
def test_of_an_error_that_cannot_be_pickled_the_text_remains(
    tmp_path: Path, error: Exception
) -> None:
    trial = trial_at(tmp_path)
    write_error(trial, 1, TIME_S, ValueError("first"))
    write_error(trial, 2, TIME_S, error)

    text = read_error(str(tmp_path))
    assert isinstance(text, str)
    assert text.endswith(f"Failure # 2 (occurred at 2030-12-31_23-59-58)\n{error}\n")


def test_a_trial_that_never_failed_has_no_error(tmp_path: Path) -> None:
    assert read_error(str(tmp_path)) is None


def test_the_exception_is_read_back(tmp_path: Path) -> None:
    error = TrialTaskError("bad", trial_id="t1", traceback_text="Traceback")
    write_error(trial_at(tmp_path), 1, TIME_S, error)

    found = read_error(str(tmp_path))

    assert isinstance(found, TrialTaskError)
    assert (str(found), found.trial_id, found.traceback_text) == ("bad", "t1", "Traceback")


@pytest.mark.parametrize("data", [b"", b"\x80\x04", pickle.dumps("no exception")])
def test_a_pickle_that_is_no_exception_is_passed_over(tmp_path: Path, data: bytes) -> None:
    trial = trial_at(tmp_path)
    write_error(trial, 1, TIME_S, ValueError("first"))
    (tmp_path / "error.pkl").write_bytes(data)

    assert read_error(str(tmp_path)) == (tmp_path / "error.txt").read_text()


def test_what_user_code_raised_is_loaded_by_who_reads_it(tmp_path: Path) -> None:
    error = TrialTaskError("bad")
    error.pickled_cause = pickle.dumps(KeyError("x"))
    write_error(trial_at(tmp_path), 1, TIME_S, error)

    found = read_error(str(tmp_path))

    assert isinstance(found, KeyError) and isinstance(found, TrialTaskError)
    assert str(found) == "bad"


def test_a_directory_that_is_gone_is_made_again(tmp_path: Path) -> None:
    write_error(trial_at(tmp_path / "gone"), 1, TIME_S, ValueError("first"))

    assert "first" in (tmp_path / "gone" / "error.txt").read_text()


def test_an_error_text_that_is_no_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "error.txt").mkdir()

    assert read_error(str(tmp_path)) is None
