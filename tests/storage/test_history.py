from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.error import StorageError
from localtune.experiment.trial import Trial
from localtune.storage.history import has_results_file, iter_results, read_results, rewind
from tests.logger.recorder import Recorder
from tests.records import make_trial

NAN = float("nan")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.end()


def record(recorder: Recorder, experiment: Path, count: int, **metrics: Any) -> Trial:
    """A running trial with results."""
    trial = make_trial(experiment, config={"lr": 0.1})
    recorder.start(trial)
    for step in range(1, count + 1):
        recorder.report(trial, step=step, **metrics)
    return trial


def json_steps(trial: Trial) -> list[int]:
    return [result["step"] for result in iter_results(trial.path)]


def csv_steps(trial: Trial) -> list[int]:
    """As :func:`json_steps`, from the other file."""
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(Path(trial.path, "progress.csv"), directory)
        return [result["step"] for result in iter_results(directory)]


class TestRead:
    def test_results_are_nested_and_in_order(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = record(recorder, tmp_path, 2, eval={"acc": 0.5})

        assert read_results(trial.path) == [
            {
                "training_iteration": step,
                "trial_id": "abc_00000",
                "step": step,
                "eval": {"acc": 0.5},
                "config": {"lr": 0.1},
            }
            for step in (1, 2)
        ]

    def test_without_files_there_are_none(self, tmp_path: Path) -> None:
        assert read_results(str(tmp_path)) == []
        assert read_results(str(tmp_path / "missing")) == []
        assert not has_results_file(str(tmp_path))

    @pytest.mark.parametrize("name", ["result.json", "progress.csv"])
    def test_an_empty_file_holds_none(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()

        assert has_results_file(str(tmp_path))
        assert read_results(str(tmp_path)) == []

    @pytest.mark.parametrize("tail", [b'{"step": 3', b'{"step": 3, "text": "\xc3', b"\0" * 100])
    def test_a_torn_last_line_is_left_out(
        self, tmp_path: Path, recorder: Recorder, tail: bytes
    ) -> None:
        trial = record(recorder, tmp_path, 2)
        with open(Path(trial.path, "result.json"), "ab") as file:
            file.write(tail)

        assert json_steps(trial) == [1, 2]

    def test_a_whole_last_line_counts_without_its_line_feed(
        self, tmp_path: Path, recorder: Recorder
    ) -> None:
        trial = record(recorder, tmp_path, 2)
        path = Path(trial.path, "result.json")
        os.truncate(path, path.stat().st_size - 1)

        assert json_steps(trial) == [1, 2]

    @pytest.mark.parametrize("line", ["{torn", "[1]", ""])
    def test_a_damaged_line_in_the_middle_is_an_error(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "result.json").write_text(f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')

        with pytest.raises(StorageError, match=r"Line 2 of .*result\.json is no result"):
            read_results(str(tmp_path))

    def test_odd_floats_are_read_back(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = record(recorder, tmp_path, 1, nan=NAN, inf=math.inf)

        (result,) = read_results(trial.path)
        assert math.isnan(result["nan"])
        assert result["inf"] == math.inf


class TestReadCsv:
    """What is read where there is no ``result.json``."""

    @pytest.mark.parametrize(
        "value",
        [
            0,
            -3,
            0.5,
            1e-7,
            math.inf,
            True,
            False,
            "text",
            "two\nlines,\r\n",
            "a_b",
            "1_000",
            "é\u2028",
        ],
    )
    def test_values_are_read_back(self, tmp_path: Path, recorder: Recorder, value: Any) -> None:
        trial = record(recorder, tmp_path, 1, value=value, after=1)
        os.remove(Path(trial.path, "result.json"))

        (result,) = read_results(trial.path)

        assert result["value"] == value
        assert type(result["value"]) is type(value)
        assert result["after"] == 1

    def test_nan_is_read_back(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = record(recorder, tmp_path, 1, value=NAN)
        os.remove(Path(trial.path, "result.json"))

        assert math.isnan(read_results(trial.path)[0]["value"])

    def test_names_that_look_like_numbers_stay_text(self, tmp_path: Path) -> None:
        (tmp_path / "progress.csv").write_bytes(
            b"trial_id,hostname,experiment_tag,loss\r\n12345_00000,007,3,1\r\n12e45,1.5,4,2\r\n"
        )

        assert read_results(str(tmp_path)) == [
            {"trial_id": "12345_00000", "hostname": "007", "experiment_tag": "3", "loss": 1},
            {"trial_id": "12e45", "hostname": "1.5", "experiment_tag": "4", "loss": 2},
        ]

    def test_flat_columns_become_nested_and_empty_cells_vanish(self, tmp_path: Path) -> None:
        (tmp_path / "progress.csv").write_bytes(b"a/b,a/c,d\r\n1,2,3\r\n,4,\r\n")

        assert read_results(str(tmp_path)) == [{"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}}]

    def test_columns_that_cannot_be_nested_stay_flat(self, tmp_path: Path) -> None:
        (tmp_path / "progress.csv").write_bytes(b"a,a/b\r\n1,2\r\n")

        assert read_results(str(tmp_path)) == [{"a": 1, "a/b": 2}]

    @pytest.mark.parametrize("tail", [b"3", b"3,abc", b'3,abc,"text\r\n'])
    def test_a_torn_last_row_is_left_out(self, tmp_path: Path, tail: bytes) -> None:
        (tmp_path / "progress.csv").write_bytes(b"step,trial_id,x\r\n1,abc,5\r\n" + tail)

        assert read_results(str(tmp_path)) == [{"step": 1, "trial_id": "abc", "x": 5}]

    def test_long_text_is_read(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = record(recorder, tmp_path, 2, text="x," * 200_000)
        os.remove(Path(trial.path, "result.json"))

        assert json_steps(trial) == [1, 2]


class TestRewind:
    def test_a_paused_trial_whose_files_are_open_can_be_cut(
        self, tmp_path: Path, recorder: Recorder
    ) -> None:
        trial = record(recorder, tmp_path, 4)
        recorder.pause(trial)

        assert rewind(trial.path, 2)
        trial.last_result = {"training_iteration": 2}
        recorder.start(trial)
        recorder.report(trial, step=30)

        assert json_steps(trial) == csv_steps(trial) == [1, 2, 30]

    @pytest.mark.parametrize("name", ["result.json", "progress.csv"])
    def test_a_file_that_is_behind_the_other_stays_so(
        self, tmp_path: Path, recorder: Recorder, name: str
    ) -> None:
        trial = record(recorder, tmp_path, 3)
        path = Path(trial.path, name)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))

        assert not rewind(trial.path, 3)
        assert rewind(trial.path, 2)

        assert json_steps(trial) == csv_steps(trial) == [1, 2]

    @pytest.mark.parametrize("text", ["x" * 300_000, "a\nb" * 100_000])
    def test_lines_longer_than_what_is_read_at_once(
        self, tmp_path: Path, recorder: Recorder, text: str
    ) -> None:
        trial = record(recorder, tmp_path, 4, text=text)

        assert rewind(trial.path, 2)

        assert json_steps(trial) == csv_steps(trial) == [1, 2]
        assert not rewind(trial.path, 2)

    def test_text_that_looks_like_a_row_is_none(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = record(recorder, tmp_path, 3, text="a\r\n1,abc_00000,1,x\r\n2,abc_00000,2,y\r\n")

        assert rewind(trial.path, 2)

        assert json_steps(trial) == csv_steps(trial) == [1, 2]

    def test_a_header_alone_is_cut(self, tmp_path: Path) -> None:
        (tmp_path / "progress.csv").write_bytes(b"training_iteration,a\r\n")

        assert rewind(str(tmp_path), 5)
        assert (tmp_path / "progress.csv").read_bytes() == b""

    def test_a_file_that_cannot_be_opened_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "result.json").mkdir()

        with pytest.raises(OSError, match=r"result\.json"):
            rewind(str(tmp_path), 0)
