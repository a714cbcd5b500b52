from __future__ import annotations

import csv
import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.logger import CSVLoggerCallback
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial


@pytest.fixture
def recorder() -> Recorder:
    return Recorder([CSVLoggerCallback()])


def text_of(trial: Trial) -> str:
    return Path(trial.path, "progress.csv").read_bytes().decode()


def rows_of(trial: Trial) -> list[dict[str, str]]:
    with open(Path(trial.path, "progress.csv"), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_is_made_with_the_first_result(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    assert os.listdir(trial.path) == []

    recorder.report(trial, loss=0.5)

    assert os.listdir(trial.path) == ["progress.csv"]
    recorder.end()


def test_rows_are_flat_and_without_config(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)

    recorder.report(trial, loss=0.5, eval={"acc": 0.75, "deep": {"f1": 1}})
    recorder.report(trial, loss=0.25, eval={"acc": 0.8, "deep": {"f1": 2}})

    assert text_of(trial) == (
        "training_iteration,trial_id,loss,eval/acc,eval/deep/f1\r\n"
        "1,abc_00000,0.5,0.75,1\r\n"
        "2,abc_00000,0.25,0.8,2\r\n"
    )
    recorder.end()


def test_later_keys_get_columns_when_the_trial_ends_and_missing_ones_are_empty(
    tmp_path: Path, recorder: Recorder
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)

    recorder.report(trial, loss=0.5)
    recorder.report(trial, acc=0.75)

    assert text_of(trial) == (
        "training_iteration,trial_id,loss\r\n1,abc_00000,0.5\r\n2,abc_00000,\r\n"
    )
    recorder.complete(trial)
    assert text_of(trial) == (
        "training_iteration,trial_id,loss,acc\r\n1,abc_00000,0.5,\r\n2,abc_00000,,0.75\r\n"
    )
    recorder.end()


@pytest.mark.parametrize("end", ["complete", "fail", "pause"])
def test_each_metric_has_a_column_in_the_end_and_each_row_stands_once(
    tmp_path: Path, recorder: Recorder, end: str
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    inodes = set()
    for step in range(100):
        recorder.report(trial, step=step, **{f"metric_{step}": step})
        inodes.add(os.stat(Path(trial.path, "progress.csv")).st_ino)
        assert [row["step"] for row in rows_of(trial)] == [str(each) for each in range(step + 1)]

    getattr(recorder, end)(trial)
    recorder.end()

    rows = rows_of(trial)
    assert [row["step"] for row in rows] == [str(step) for step in range(100)]
    assert all(rows[step][f"metric_{step}"] == str(step) for step in range(100))
    assert len(rows[0]) == 103
    assert len(inodes) <= 7  # Each time with twice as many columns.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (None, ""),
        (True, "True"),
        (1e-07, "1e-07"),
        (np.float64(0.5), "0.5"),
        ([1, 2], "[1, 2]"),
        ("a,b", "a,b"),
        ('say "yes"', 'say "yes"'),
        ("two\nlines\r\n", "two\nlines\r\n"),
        ("é\u2028", "é\u2028"),
        ("\ud800", "\\ud800"),
    ],
)
def test_values_read_back_as_text(
    tmp_path: Path, recorder: Recorder, value: Any, text: str
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)

    recorder.report(trial, value=value)
    recorder.report(trial, value=1)

    assert [row["value"] for row in rows_of(trial)] == [text, "1"]
    recorder.end()


@pytest.mark.parametrize("leave", [Recorder.pause, Recorder.recover])
def test_a_trial_that_comes_back_gets_no_second_header(
    tmp_path: Path, recorder: Recorder, leave: Any
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=1, **{"strange,\nname": 2})
    leave(recorder, trial)

    recorder.start(trial)
    recorder.report(trial, acc=5, loss=3)

    assert [(row["loss"], row["strange,\nname"]) for row in rows_of(trial)] == [
        ("1", "2"),
        ("3", ""),
    ]
    recorder.end()


def test_another_session_goes_on_with_the_columns_of_the_file(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    first = Recorder([CSVLoggerCallback()])
    first.start(trial)
    first.report(trial, a=1, b=2)
    first.pause(trial)
    first.end()

    second = Recorder([CSVLoggerCallback()])
    second.take_over(first)
    second.start(trial)
    second.report(trial, b=4, a=3, c=5)
    second.end()

    assert [(row["a"], row["b"]) for row in rows_of(trial)] == [("1", "2"), ("3", "4")]


def test_a_trial_that_begins_again_gets_a_new_header(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=1)
    recorder.recover(trial)
    recorder.rewind(trial, 0)

    recorder.start(trial)
    recorder.report(trial, acc=2)

    assert text_of(trial) == "training_iteration,trial_id,acc\r\n1,abc_00000,2\r\n"
    recorder.end()


@pytest.mark.usefixtures("few_open_files")
def test_many_live_trials_need_no_more_descriptors_than_there_are(
    tmp_path: Path, recorder: Recorder
) -> None:
    trials = [make_trial(tmp_path, number) for number in range(200)]
    before = len(os.listdir("/dev/fd"))
    for trial in trials:
        recorder.start(trial)
    for step in range(2):  # All in turn: each is opened, closed and opened again.
        for trial in trials:
            recorder.report(trial, loss=step)

    assert len(os.listdir("/dev/fd")) == before + 64
    recorder.end()
    assert len(os.listdir("/dev/fd")) == before
    assert {tuple(row["loss"] for row in rows_of(trial)) for trial in trials} == {("0", "1")}


def test_a_running_logger_can_be_pickled(tmp_path: Path) -> None:
    logger = CSVLoggerCallback()
    recorder, trial = Recorder([logger]), make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=1)

    other = Recorder([pickle.loads(pickle.dumps(logger))])
    other.take_over(recorder)
    other.report(trial, loss=2)
    other.complete(trial)
    other.end()

    assert [row["loss"] for row in rows_of(trial)] == ["1", "2"]
