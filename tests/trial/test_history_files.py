from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.error import StorageError
from localtune.trial.history_files import has_results_file, iter_results, read_results
from localtune.trial.trial import Trial
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
