"""Event files, read with TensorBoard's own code."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as ExperimentHandler
from tensorboard.plugins.hparams.list_session_groups import Handler

import localtune as tune
from localtune.error import ExtraMissingError
from localtune.logger import TBXLoggerCallback
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial
from tests.small_runs import fit, processes, statuses

FILE = "events.out.tfevents.localtune"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder([TBXLoggerCallback()])


def read(directory: str) -> Any:
    events = EventAccumulator(directory, size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    return events


def points(directory: str, tag: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in read(directory).Scalars(f"ray/tune/{tag}")]


def sessions(experiment: Path) -> dict[str, dict[str, Any]]:
    """What the tab HParams lists: {trial directory: parameters, metrics, status}."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(os.fspath(experiment))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, os.fspath(experiment))
    context = Context(TBContext(data_provider=provider, logdir=os.fspath(experiment)))
    wanted = api_pb2.GetExperimentRequest(include_metrics=True)
    known = ExperimentHandler(RequestContext(), context, "", wanted).run()
    columns = [
        api_pb2.ColParams(hparam=each.name, include_in_result=True) for each in known.hparam_infos
    ]
    columns += [
        api_pb2.ColParams(metric=each.name, include_in_result=True) for each in known.metric_infos
    ]
    request = api_pb2.ListSessionGroupsRequest(
        col_params=columns,
        slice_size=100,
        aggregation_type=api_pb2.AGGREGATION_AVG,
        allowed_statuses=list(api_pb2.Status.values()),
    )
    answer = Handler(RequestContext(), context, "", request).run()
    return {
        group.sessions[0].name: {
            "params": {
                key: getattr(value, str(value.WhichOneof("kind")))
                for key, value in group.hparams.items()
            },
            "metrics": {each.name.tag: each.value for each in group.metric_values},
            "status": api_pb2.Status.Name(group.sessions[0].status),
        }
        for group in answer.session_groups
    }


def test_without_tensorboardx_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)

    with pytest.raises(ExtraMissingError, match=r"localtune-runner\[tensorboard\]"):
        TBXLoggerCallback()


# -- metrics ---------------------------------------------------------------------------------------


def test_numbers_become_scalars_over_the_iterations(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=0.5, eval={"acc": 1}, done=False, big=math.inf)
    recorder.report(trial, loss=0.25, eval={"acc": 2}, done=True, big=-math.inf)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [(1, 0.5), (2, 0.25)]
    assert points(trial.path, "eval/acc") == [(1, 1), (2, 2)]
    assert points(trial.path, "done") == [(1, 0), (2, 1)]
    assert points(trial.path, "big") == [(1, math.inf), (2, -math.inf)]


def test_the_step_is_the_number_of_timesteps_if_there_is_one(
    tmp_path: Path, recorder: Recorder
) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=3, timesteps_total=0)
    recorder.report(trial, loss=2, timesteps_total=100)
    recorder.report(trial, loss=1, timesteps_total=300)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [(1, 3), (100, 2), (300, 1)]


def test_some_keys_and_all_that_is_no_number_are_left_out(
    tmp_path: Path, recorder: Recorder
) -> None:
    trial = make_trial(tmp_path, config={"lr": 1})
    recorder.start(trial)
    recorder.report(
        trial,
        pid=1,
        timestamp=2,
        time_total_s=3.0,
        text="a",
        none=None,
        empty=[],
        nan=math.nan,
        kept={"pid": 4},
    )
    recorder.complete(trial)

    assert read(trial.path).Tags()["scalars"] == ["ray/tune/kept/pid"]
    assert read(trial.path).Tags()["histograms"] == []


def test_a_result_can_be_read_while_the_trial_runs(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    events = EventAccumulator(trial.path)
    for step in (1, 2):
        recorder.report(trial, loss=step)
        events.Reload()
        assert [each.step for each in events.Scalars("ray/tune/loss")] == [*range(1, step + 1)]
    recorder.end()


@pytest.mark.parametrize("value", [[1, 2, 3.5, math.nan], np.array([[1, 2], [3.5, np.inf]])])
def test_lists_and_arrays_become_histograms(tmp_path: Path, recorder: Recorder, value: Any) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, weights=value)
    recorder.complete(trial)

    (event,) = read(trial.path).Histograms("ray/tune/weights")
    histogram = event.histogram_value
    assert event.step == 1
    assert (histogram.num, histogram.min, histogram.max, histogram.sum) == (3, 1, 3.5, 6.5)
    assert sum(histogram.bucket) == 3


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_become_an_image_and_images_side_by_side(
    tmp_path: Path, recorder: Recorder, dtype: str, channels: int
) -> None:
    pixels = np.zeros((2, channels, 4, 5))
    pixels[1, 0, 3, 2] = 1  # the second image: first channel, lowest row, third column
    values = (pixels * 255).astype(dtype) if dtype == "uint8" else pixels
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, one=values[1], two=values)
    recorder.complete(trial)

    def lit(tag: str) -> tuple[tuple[int, int], list[list[int]]]:
        (event,) = read(trial.path).Images(f"ray/tune/{tag}")
        image = Image.open(io.BytesIO(event.encoded_image_string))
        assert image.size == (event.width, event.height)
        array = np.array(image).reshape(*image.size[::-1], channels)
        assert array.max() == 255
        return image.size, np.argwhere(array).tolist()

    assert lit("one") == ((5, 4), [[3, 2, 0]])
    assert lit("two") == ((10, 4), [[3, 7, 0]])


def test_an_array_of_five_dimensions_becomes_a_video(tmp_path: Path, recorder: Recorder) -> None:
    video = np.zeros((1, 3, 1, 8, 8))
    for frame in range(3):
        video[0, frame, 0, frame, :] = 1
    trial = make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, film=video)
    recorder.complete(trial)

    (event,) = read(trial.path).Images("ray/tune/film")
    with Image.open(io.BytesIO(event.encoded_image_string)) as film:
        assert (film.format, film.n_frames, film.info["duration"]) == ("GIF", 3, 50)
        for frame in range(3):
            film.seek(frame)
            rows = np.argwhere(np.array(film.convert("L")).all(axis=1)).ravel()
            assert rows.tolist() == [frame]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["a", "b"], "holds other values than numbers"),
        ([[1], [1, 2]], "differ in length"),
        ([1e200], "squares are too large"),
        (10**400, "larger than any"),
        (np.zeros((2, 4, 4)), "1, 3 or 4 channels, but it has 2"),
    ],
)
def test_a_value_that_cannot_be_shown_is_logged_once(
    tmp_path: Path,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    value: Any,
    reason: str,
) -> None:
    caplog.set_level(logging.INFO)
    trial = make_trial(tmp_path)
    recorder.start(trial)
    for _ in range(2):
        recorder.report(trial, odd=value, loss=1)
    recorder.complete(trial)

    (record,) = [each for each in caplog.messages if "'odd'" in each]
    assert reason in record
    assert points(trial.path, "loss") == [(1, 1), (2, 1)]


# -- parameters ------------------------------------------------------------------------------------


def test_parameters_metrics_and_status_are_listed_in_the_tab_hparams(
    tmp_path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = make_trial(
        tmp_path,
        0,
        evaluated_params={
            "lr": 0.5, "model/layers": 2, "act": "relu", "bias": True, "sizes": [1, 2],
            "none": None, "np": np.float32(0.25), "seed": 2**60, "object": object(),
        },
    )  # fmt: skip
    # Another branch of a search space: other parameters.
    second = make_trial(tmp_path, 1, evaluated_params={"lr": 0.75, "momentum": 0.5})
    third = make_trial(tmp_path, 2, evaluated_params={"lr": 1})
    for trial in (first, second, third):
        recorder.start(trial)
        recorder.report(trial, loss=0.5)
    recorder.report(first, loss=0.25)
    recorder.complete(first)
    recorder.fail(second)
    recorder.end()

    assert sessions(tmp_path) == {
        "trial_0": {
            "params": {
                "lr": 0.5, "model/layers": 2, "act": "relu", "bias": True, "sizes": "[1, 2]",
                "none": "None", "np": 0.25, "seed": str(2**60),
            },
            "metrics": {"ray/tune/loss": 0.25},
            "status": "STATUS_SUCCESS",
        },
        "trial_1": {
            "params": {"lr": 0.75, "momentum": 0.5},
            "metrics": {"ray/tune/loss": 0.5},
            "status": "STATUS_UNKNOWN",
        },
        "trial_2": {
            "params": {"lr": 1},
            "metrics": {"ray/tune/loss": 0.5},
            "status": "STATUS_UNKNOWN",
        },
    }  # fmt: skip
    assert "The parameter 'object' is not shown in TensorBoard" in caplog.text


# -- going back and going on -----------------------------------------------------------------------


def go_on(recorder: Recorder, trial: Trial, first: int, last: int, offset: int) -> None:
    trial.last_result = {"training_iteration": first - 1}
    recorder.start(trial)
    for step in range(first, last + 1):
        recorder.report(trial, loss=offset + step)


@pytest.mark.parametrize("restart", [1, 3])
@pytest.mark.parametrize("is_new_session", [False, True])
def test_iterations_that_are_done_again_are_shown_once(
    tmp_path: Path, recorder: Recorder, restart: int, is_new_session: bool
) -> None:
    trial = make_trial(tmp_path)
    go_on(recorder, trial, 1, 5, offset=0)
    if is_new_session:
        recorder.pause(trial)
        recorder.end()
        recorder = Recorder([TBXLoggerCallback()])
    else:
        recorder.recover(trial)

    go_on(recorder, trial, restart, 4, offset=100)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [
        *((step, step) for step in range(1, restart)),
        *((step, 100 + step) for step in range(restart, 5)),
    ]


def test_nothing_is_forgotten_after_a_pause(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path, evaluated_params={"lr": 1})
    go_on(recorder, trial, 1, 2, offset=0)
    recorder.pause(trial)
    go_on(recorder, trial, 3, 4, offset=0)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert os.listdir(trial.path) == [FILE]


def test_timesteps_that_stand_still_are_all_shown(tmp_path: Path, recorder: Recorder) -> None:
    trial = make_trial(tmp_path)
    recorder.start(trial)
    for loss in (3, 2, 1):
        recorder.report(trial, loss=loss, timesteps_total=7)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [(7, 3), (7, 2), (7, 1)]


@pytest.mark.parametrize("tail", ["half a header", "half a record", "zeros"])
def test_a_record_cut_by_a_full_disk_is_removed(
    tmp_path: Path, recorder: Recorder, tail: str
) -> None:
    trial = make_trial(tmp_path)
    go_on(recorder, trial, 1, 2, offset=0)
    recorder.pause(trial)
    file = Path(trial.path, FILE)
    whole = file.read_bytes()
    rest = {"half a header": whole[:10], "half a record": whole[:30], "zeros": bytes(64)}
    file.write_bytes(whole + rest[tail])

    go_on(recorder, trial, 3, 3, offset=0)
    recorder.complete(trial)

    assert points(trial.path, "loss") == [(1, 1), (2, 2), (3, 3)]
    assert file.read_bytes().startswith(whole)


def test_many_paused_trials_need_few_descriptors_and_no_threads(
    tmp_path: Path, recorder: Recorder
) -> None:
    trials = [make_trial(tmp_path, number) for number in range(100)]
    before = len(os.listdir("/dev/fd"))
    for trial in trials:
        recorder.start(trial)
    for step in range(2):
        for trial in trials:
            recorder.report(trial, loss=step)

    assert len(os.listdir("/dev/fd")) <= before + 64
    recorder.end()
    assert len(os.listdir("/dev/fd")) == before
    assert all(points(trial.path, "loss") == [(1, 0), (2, 1)] for trial in trials[::25])


def test_a_running_logger_can_be_pickled(tmp_path: Path) -> None:
    logger = TBXLoggerCallback()
    recorder, trial = Recorder([logger]), make_trial(tmp_path)
    recorder.start(trial)
    recorder.report(trial, loss=1)

    other = pickle.loads(pickle.dumps(logger))
    other.log_trial_result(0, trial, {"loss": 2, "training_iteration": 2})
    other.log_trial_end(trial)
    recorder.end()

    assert points(trial.path, "loss") == [(1, 1), (2, 2)]


# -- runs ------------------------------------------------------------------------------------------


def test_a_run_whose_trials_fail_and_are_retried(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def train(config: dict[str, Any]) -> None:
        start = 0
        checkpoint = tune.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as directory:
                start = json.loads(Path(directory, "step").read_text())
        mark = marks / str(config["x"])
        is_first = not mark.exists()
        for step in range(start + 1, 7):
            if step == 6 and is_first:
                mark.touch()
                os._exit(3)
            metrics = {"loss": config["x"] + step + (0 if is_first else 100)}
            if step != 3:
                tune.report(metrics)
                continue
            directory = str(tune.get_context().get_trial_dir()) + "/saved"
            Path(directory).mkdir(exist_ok=True)
            Path(directory, "step").write_text(json.dumps(step))
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(directory))

    grid = fit(
        train,
        tmp_path,
        {"x": tune.grid_search([10, 20])},
        executor=processes(2),
        callbacks=[TBXLoggerCallback()],
        max_failures=1,
    )

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    for result, x in zip(grid, (10, 20), strict=True):
        expected = [(1, x + 1), (2, x + 2), (3, x + 3), (4, x + 104), (5, x + 105), (6, x + 106)]
        assert points(result.path, "loss") == expected
    listed = sessions(Path(grid.experiment_path))
    assert {each["params"]["x"]: each["status"] for each in listed.values()} == {
        10: "STATUS_SUCCESS",
        20: "STATUS_SUCCESS",
    }
    assert {each["metrics"]["ray/tune/loss"] for each in listed.values()} == {116, 126}
