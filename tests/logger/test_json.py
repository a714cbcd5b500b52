from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.logger import JsonLoggerCallback
from localtune.search.sample import uniform
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial

PARAMS = ["params.json", "params.pkl"]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder([JsonLoggerCallback()])


def lines_of(trial: Trial) -> list[str]:
    return Path(trial.path, "result.json").read_text().splitlines()


def test_the_files_exist_from_the_start(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)

    recorder.start(trial)

    assert sorted(os.listdir(trial.path)) == [*PARAMS, "result.json"]
    assert lines_of(trial) == []
    recorder.end()


def test_each_result_is_one_line_with_its_config(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path, 3, config={"lr": 0.3, "net": {"width": 32}})
    recorder.start(trial)

    recorder.report(trial, loss=0.5, eval={"acc": [1, 2]}, text="two\nlines")
    first = json.loads(lines_of(trial)[0])  # It is there before the next one comes.
    recorder.report(trial, loss=0.25)

    assert first == {
        "loss": 0.5,
        "eval": {"acc": [1, 2]},
        "text": "two\nlines",
        "training_iteration": 1,
        "trial_id": "abc_00003",
        "config": {"lr": 0.3, "net": {"width": 32}},
    }
    assert [json.loads(line)["loss"] for line in lines_of(trial)] == [0.5, 0.25]
    recorder.end()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (np.float32("nan"), '"null"'),
        (np.float32(0.5), "0.5"),
        (np.int64(7), "7"),
        (np.bool_(True), "true"),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        ((1, 2), "[1, 2]"),
        (None, "null"),
        (1 + 2j, '"(1+2j)"'),
        (Path("a/b"), '"a/b"'),
        ({1: 2}, '{"1": 2}'),
    ],
)
def test_values_that_json_does_not_know(
    tmp_path: Path, recorder: Recorder, value: Any, text: str
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)

    recorder.report(trial, value=value)

    (line,) = lines_of(trial)
    assert f', "value": {text}, "config": ' in line
    recorder.end()


def test_a_retried_trial_goes_on_in_its_file(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=1)
    recorder.recover(trial)

    recorder.start(trial)
    recorder.report(trial, loss=2)

    assert [json.loads(line)["loss"] for line in lines_of(trial)] == [1, 2]
    recorder.end()


def test_another_session_goes_on_where_the_record_ends(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    recorder = Recorder([JsonLoggerCallback()])
    for loss in (1, 2):
        recorder, before = Recorder([JsonLoggerCallback()]), recorder
        recorder.take_over(before)
        recorder.start(trial)
        recorder.report(trial, loss=loss)
        recorder.pause(trial)

    recorder.end()
    assert [json.loads(line)["loss"] for line in lines_of(trial)] == [1, 2]


def test_trials_at_once_write_to_their_own_files(tmp_path: Path, recorder: Recorder) -> None:
    trials = [make_trial(tmp_path, number) for number in range(3)]
    for trial in trials:
        recorder.start(trial)
    for step in range(2):
        for number, trial in enumerate(trials):
            recorder.report(trial, loss=10 * number + step)

    losses = [[json.loads(line)["loss"] for line in lines_of(trial)] for trial in trials]
    assert losses == [[0, 1], [10, 11], [20, 21]]
    recorder.end()


@pytest.mark.usefixtures("few_open_files")
def test_many_live_trials_need_no_more_descriptors_than_there_are(
    tmp_path: Path, recorder: Recorder
) -> None:
    trials = [make_trial(tmp_path, number) for number in range(200)]
    before = len(os.listdir("/dev/fd"))
    for step in range(2):
        for trial in trials:
            recorder.start(trial)
            recorder.report(trial, loss=step)
            recorder.pause(trial)

    assert len(os.listdir("/dev/fd")) == before + 64
    recorder.end()
    assert len(os.listdir("/dev/fd")) == before
    assert {tuple(json.loads(line)["loss"] for line in lines_of(trial)) for trial in trials} == {
        (0, 1)
    }


@pytest.mark.parametrize("ends", ["complete", "fail", "recover"])
def test_a_trial_that_leaves_its_worker_keeps_no_descriptor(
    tmp_path: Path, recorder: Recorder, ends: str
) -> None:
    trial = make_trial(tmp_path)
    before = len(os.listdir("/dev/fd"))
    recorder.start(trial)
    recorder.report(trial, loss=1)

    getattr(recorder, ends)(trial)

    assert len(os.listdir("/dev/fd")) == before


class TestParams:
    def test_json_is_indented_and_sorted(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = make_trial(tmp_path, config={"b": 1, "a": {"d": None, "c": np.float64(0.5)}})
        recorder.start(trial)

        assert Path(trial.path, "params.json").read_text() == (
            '{\n  "a": {\n    "c": 0.5,\n    "d": null\n  },\n  "b": 1\n}'
        )
        recorder.end()

    def test_pickle_is_the_config(self, tmp_path: Path, recorder: Recorder) -> None:
        config = {"shape": (1, 2), "dtype": np.float32, "where": Path("x"), "on": {1, 2}}
        trial = make_trial(tmp_path, config=config)
        recorder.start(trial)

        assert pickle.loads(Path(trial.path, "params.pkl").read_bytes()) == config
        recorder.end()

    def test_an_object_that_pickle_refuses_is_pickled_by_value(
        self, tmp_path: Path, recorder: Recorder
    ) -> None:
        trial = make_trial(tmp_path, config={"activation": lambda x: x + 1})
        recorder.start(trial)

        assert pickle.loads(Path(trial.path, "params.pkl").read_bytes())["activation"](2) == 3
        assert '"activation": "<function' in Path(trial.path, "params.json").read_text()
        recorder.end()

    def test_classes_of_a_script_can_be_loaded_without_the_script(self, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "from pathlib import Path\n"
            "from localtune.logger import JsonLoggerCallback\n"
            "from tests.logger.recorder import Recorder\n"
            "from tests.records import make_trial\n"
            "class Setting:\n"
            "    value = 7\n"
            f"trial = make_trial(Path({os.fspath(tmp_path)!r}), config={{'setting': Setting()}})\n"
            "recorder = Recorder([JsonLoggerCallback()])\n"
            "recorder.start(trial)\n"
            "recorder.end()\n"
        )
        environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
        subprocess.run([sys.executable, script], check=True, env=environment)

        data = Path(make_trial(tmp_path).path, "params.pkl").read_bytes()
        assert pickle.loads(data)["setting"].value == 7

    def test_both_are_rewritten_at_each_start(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = make_trial(tmp_path, config={"lr": 0.1, "long": "x" * 100})
        recorder.start(trial)
        recorder.pause(trial)

        trial.config = {"lr": 0.2}
        recorder.start(trial)

        assert json.loads(Path(trial.path, "params.json").read_text()) == {"lr": 0.2}
        assert pickle.loads(Path(trial.path, "params.pkl").read_bytes()) == {"lr": 0.2}
        recorder.end()

    def test_any_object_has_a_text(self, tmp_path: Path, recorder: Recorder) -> None:
        trial = make_trial(tmp_path, config={"lr": uniform(0, 1), 5: "number"})
        recorder.start(trial)

        params = json.loads(Path(trial.path, "params.json").read_text())
        assert params["5"] == "number"
        assert isinstance(params["lr"], str)
        recorder.end()


def test_a_killed_process_leaves_no_half_line(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tests.logger.recorder import Recorder\n"
        "from tests.records import make_trial\n"
        "recorder = Recorder()\n"
        f"trial = make_trial(Path({os.fspath(tmp_path)!r}))\n"
        "recorder.start(trial)\n"
        "for step in range(100):\n"
        "    recorder.report(trial, text='x' * 10_000, step=step)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    process = subprocess.run([sys.executable, "-c", script], env=environment)

    trial = make_trial(tmp_path)
    assert process.returncode == -9
    assert [json.loads(line)["step"] for line in lines_of(trial)] == list(range(100))
    assert Path(trial.path, "progress.csv").read_bytes().count(b"\r\n") == 101
