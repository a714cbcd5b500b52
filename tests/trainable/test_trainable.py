from __future__ import annotations

import csv
import json
import logging
import os
import pickle
import platform
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.error import StorageError
from localtune.resources import PlacementGroupFactory
from localtune.result import (
    DICT_CHECKPOINT_FILE,
    STDERR_FILE,
    STDOUT_FILE,
    TRIAL_INFO,
)
from localtune.trainable import trainable as trainable_module
from localtune.trainable.trainable import Trainable
from localtune.trial.trial_info import StorageContext, TrialInfo
from tests.records import unmarked

AUTO_FILLED = [
    "trial_id",
    "date",
    "timestamp",
    "time_this_iter_s",
    "time_total_s",
    "pid",
    "hostname",
    "node_ip",
    "config",
    "time_since_restore",
    "iterations_since_restore",
]


class Counter(Trainable):
    """Reports ``config["results"]`` one after the other, then counts on."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0
        self.results = list(config.get("results", ()))
        self.calls = ["setup"]

    def step(self) -> dict[str, Any]:
        self.count += 1
        return self.results.pop(0) if self.results else {"count": self.count}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | str | None:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]

    def cleanup(self) -> None:
        self.calls.append("cleanup")


class Files(Counter):
    """Keeps its state in a file; what ``save_checkpoint`` returns is in the config."""

    def save_checkpoint(self, checkpoint_dir: str) -> Any:
        Path(checkpoint_dir, "count").write_text(str(self.count))
        return {"nothing": None, "same": checkpoint_dir, "below": f"{checkpoint_dir}/count"}.get(
            self.config["returns"], self.config["returns"]
        )

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.loaded_from = checkpoint
        self.count = int(Path(checkpoint, "count").read_text())


def trial_info(**changes: Any) -> TrialInfo:
    values: dict[str, Any] = {
        "trial_id": "abc",
        "trial_name": "Counter_abc",
        "experiment_name": "exp",
        "trial_dir": "/e/t",
        "experiment_dir": "/e",
        "resources": PlacementGroupFactory([{"CPU": 2}]),
    }
    return TrialInfo(**{**values, **changes})


# Construction


def test_config_is_the_callers_dict_without_what_the_runner_added(storage: StorageContext) -> None:
    config = {"lr": 1, TRIAL_INFO: trial_info(), STDOUT_FILE: "out", STDERR_FILE: "err"}
    trainable = Counter(config, storage=storage)
    assert trainable.config is config
    assert trainable.get_config() == {"lr": 1}


def test_setup_gets_a_deep_copy_of_the_config(storage: StorageContext) -> None:
    class Mutating(Counter):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config)
            config["layers"].append(3)

    trainable = Mutating({"layers": [1, 2]}, storage=storage)
    assert trainable.config == {"layers": [1, 2]}


def test_facts_about_the_trial(storage: StorageContext) -> None:
    trainable = Counter({TRIAL_INFO: trial_info()}, storage=storage)
    assert (trainable.trial_id, trainable.trial_name) == ("abc", "Counter_abc")
    assert trainable.trial_resources == PlacementGroupFactory([{"CPU": 2}])
    assert trainable.logdir == storage.trial_dir
    assert trainable.is_actor()


def test_facts_without_a_trial() -> None:
    trainable = Counter()
    assert (trainable.trial_id, trainable.trial_name) == ("default", "default")
    assert trainable.trial_resources is None
    assert not trainable.is_actor()
    assert trainable.config == {}
    trainable.stop()


def test_a_failing_setup_raises_its_own_error() -> None:
    class Failing(Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        Failing()


def test_a_slow_setup_is_advised_on(
    storage: StorageContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trainable_module, "_SLOW_SETUP_S", -1.0)
    with caplog.at_level(logging.INFO):
        Counter(storage=storage)
    assert "reuse_actors=True" in caplog.text


def test_methods_that_are_not_overridden_say_so(storage: StorageContext) -> None:
    trainable = Trainable(storage=storage)
    with pytest.raises(NotImplementedError, match="step"):
        trainable.train()
    with pytest.raises(NotImplementedError, match="save_checkpoint"):
        trainable.save()
    with pytest.raises(NotImplementedError, match="load_checkpoint"):
        trainable.restore(storage.trial_dir)
    assert trainable.reset_config({}) is False
    assert Trainable.default_resource_request({}) is None
    assert Trainable.resource_help({}) == ""


# train()


def test_keys_stand_in_the_order_of_the_contract(storage: StorageContext) -> None:
    trainable = Counter({"results": [{"b": 1, "a": 2}]}, storage=storage)
    assert list(trainable.train()) == ["b", "a", "done", "training_iteration", *AUTO_FILLED]


def test_keys_of_increments_stand_in_the_order_of_the_contract(storage: StorageContext) -> None:
    first = {"timesteps_this_iter": 5, "episodes_this_iter": 2}
    trainable = Counter({"results": [first]}, storage=storage)
    assert list(trainable.train()) == [
        "timesteps_this_iter",
        "episodes_this_iter",
        "done",
        "timesteps_total",
        "episodes_total",
        "training_iteration",
        *AUTO_FILLED,
        "timesteps_since_restore",
    ]


def test_what_is_filled_in(storage: StorageContext) -> None:
    trainable = Counter({"lr": 1}, storage=storage)
    before = int(time.time())
    result = trainable.train()
    assert result["done"] is False
    assert result["training_iteration"] == 1
    assert result["trial_id"] == "default"
    assert before <= result["timestamp"] <= time.time()
    dates = {
        datetime.fromtimestamp(second).strftime("%Y-%m-%d_%H-%M-%S")
        for second in range(before, int(time.time()) + 1)
    }
    assert result["date"] in dates
    assert result["pid"] == os.getpid()
    assert result["hostname"] == platform.node()
    assert result["node_ip"] == "127.0.0.1"
    assert trainable.get_current_ip_pid() == ("127.0.0.1", os.getpid())
    assert result["config"] is trainable.config
    assert result["iterations_since_restore"] == 1
    assert 0 <= result["time_this_iter_s"] == result["time_total_s"] == result["time_since_restore"]


def test_iterations_and_times_add_up(storage: StorageContext) -> None:
    results = [{"time_this_iter_s": 1.5}, {"time_this_iter_s": 2.5}, {"time_this_iter_s": None}]
    trainable = Counter({"results": results}, storage=storage)
    assert trainable.iteration == 0
    first, second, third = (trainable.train() for _ in range(3))
    assert (first["time_total_s"], second["time_total_s"]) == (1.5, 4.0)
    assert second["time_this_iter_s"] == 2.5
    assert third["time_total_s"] == 4.0 + third["time_this_iter_s"]
    assert third["training_iteration"] == trainable.iteration == trainable.training_iteration == 3


def test_iteration_is_the_number_of_finished_ones_inside_step(storage: StorageContext) -> None:
    class Watching(Counter):
        def step(self) -> dict[str, Any]:
            return {"seen": self.iteration}

    trainable = Watching(storage=storage)
    assert [trainable.train()["seen"] for _ in range(2)] == [0, 1]


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("done", 1, 1),
        ("training_iteration", 70, 70),
        ("timesteps_total", 9, 9),
        ("episodes_total", 8, 8),
        ("timestamp", 123, 123),
        ("time_this_iter_s", 0.25, 0.25),
        ("trial_id", "mine", "default"),
        ("date", "today", None),
        ("time_total_s", -1, None),
        ("time_since_restore", -1, None),
        ("hostname", "mine", platform.node()),
        ("node_ip", "mine", "127.0.0.1"),
        ("config", "mine", None),
        ("iterations_since_restore", -1, 1),
    ],
)
def test_which_values_of_the_user_are_kept(
    key: str, given: Any, kept: Any, storage: StorageContext
) -> None:
    result = Counter({"results": [{key: given}]}, storage=storage).train()
    if kept is None:
        assert result[key] != given
    else:
        assert result[key] == kept


def test_the_process_id_is_that_of_the_process(storage: StorageContext) -> None:
    result = Counter({"results": [{"pid": -1}]}, storage=storage).train()
    assert result["pid"] == os.getpid()


def test_a_user_given_iteration_leaves_the_counter_alone(storage: StorageContext) -> None:
    trainable = Counter({"results": [{"training_iteration": 70}]}, storage=storage)
    assert [trainable.train()["training_iteration"] for _ in range(2)] == [70, 2]


def test_a_falsy_timestamp_is_replaced(storage: StorageContext) -> None:
    assert Counter({"results": [{"timestamp": 0}]}, storage=storage).train()["timestamp"] > 0


def test_timesteps_add_up_and_zero_counts(storage: StorageContext) -> None:
    results = [{"timesteps_this_iter": n} for n in (0, 3)] + [{}, {"timesteps_this_iter": None}]
    trainable = Counter({"results": results}, storage=storage)
    rows = [trainable.train() for _ in range(4)]
    assert [row["timesteps_total"] for row in rows] == [0, 3, 3, 3]
    assert [row.get("timesteps_since_restore") for row in rows] == [None, 3, 3, 3]


def test_totals_are_absent_without_increments(storage: StorageContext) -> None:
    result = Counter(storage=storage).train()
    assert not {"timesteps_total", "episodes_total", "timesteps_since_restore"} & result.keys()


def test_user_given_total_wins_while_the_counter_goes_on(storage: StorageContext) -> None:
    results = [{"timesteps_this_iter": 2, "timesteps_total": 50}, {"timesteps_this_iter": 2}]
    trainable = Counter({"results": results}, storage=storage)
    assert [trainable.train()["timesteps_total"] for _ in range(2)] == [50, 4]


def test_episodes_add_up(storage: StorageContext) -> None:
    results = [{"episodes_this_iter": 2}, {"episodes_this_iter": 1}]
    trainable = Counter({"results": results}, storage=storage)
    assert [trainable.train()["episodes_total"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("returned", [None, 5, [("loss", 1)], "loss"])
def test_step_must_return_a_dict(returned: Any, storage: StorageContext) -> None:
    trainable = Counter({"results": [returned]}, storage=storage)
    with pytest.raises(AssertionError, match="must return a dict"):
        trainable.train()
    assert trainable.iteration == 0


def test_the_returned_dict_is_left_as_it_is(storage: StorageContext) -> None:
    returned = {"loss": np.float32(0.5), "nested": {"n": np.int64(3)}}
    result = Counter({"results": [returned]}, storage=storage).train()
    assert type(result["loss"]) is float
    assert type(result["nested"]["n"]) is int
    assert list(returned) == ["loss", "nested"]
    assert type(returned["loss"]) is np.float32


def test_infinity_is_kept(storage: StorageContext) -> None:
    result = Counter({"results": [{"loss": float("inf")}]}, storage=storage).train()
    assert result["loss"] == float("inf")


@pytest.mark.parametrize("value", [True, False, None])
def test_a_closing_reply_is_passed_on_untouched(value: Any, storage: StorageContext) -> None:
    reply = {"__duplicate__": value}
    trainable = Counter(storage=storage)
    trainable.results = [reply]
    assert trainable.train() is reply
    assert reply == {"__duplicate__": value}
    assert trainable.iteration == 0
    assert trainable.train()["training_iteration"] == 1


def test_errors_of_step_come_through_as_they_are(storage: StorageContext) -> None:
    class Failing(Counter):
        def step(self) -> dict[str, Any]:
            raise KeyError("gone")

    with pytest.raises(KeyError) as caught:
        Failing(storage=storage).train()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_log_result_sees_the_complete_result_before_train_returns(storage: StorageContext) -> None:
    class Logging(Counter):
        def log_result(self, result: dict[str, Any]) -> None:
            super().log_result(result)
            self.logged = dict(result)

    trainable = Logging(storage=storage)
    result = trainable.train()
    assert trainable.logged == result


def test_utilisation_is_reported_on_request(storage: StorageContext) -> None:
    class Patient(Counter):
        def step(self) -> dict[str, Any]:
            monitor = self._monitor
            assert monitor is not None
            while not (data := monitor.get_data()):
                continue
            monitor._samples = {name: [value] for name, value in data.items()}
            return {}

    trainable = Patient({"log_sys_usage": True}, storage=storage)
    result = trainable.train()
    assert list(result)[-1] == "perf"
    assert {"cpu_util_percent", "ram_util_percent"} <= result["perf"].keys()
    assert "perf" in trainable.train()
    trainable.stop()


# train_buffered()


def test_buffered_results_end_when_the_list_is_full(storage: StorageContext) -> None:
    results = Counter(storage=storage).train_buffered(1e9, max_buffer_length=3)
    assert [result["training_iteration"] for result in results] == [1, 2, 3]


def test_buffered_results_end_when_the_time_is_over_but_hold_one(storage: StorageContext) -> None:
    assert len(Counter(storage=storage).train_buffered(0)) == 1


@pytest.mark.parametrize("key", ["done", "should_checkpoint", "__duplicate__"])
def test_buffered_results_end_where_one_needs_attention(key: str, storage: StorageContext) -> None:
    results = [{"a": 1}, {key: True}, {"a": 3}]
    buffered = Counter({"results": results}, storage=storage).train_buffered(1e9)
    assert len(buffered) == 2
    assert buffered[-1][key] is True


def test_falsy_flags_do_not_end_buffered_results(storage: StorageContext) -> None:
    results = [{"done": False, "should_checkpoint": 0}, {"done": True}]
    assert len(Counter({"results": results}, storage=storage).train_buffered(1e9)) == 2


# save()


def test_a_dict_is_stored_as_a_pickle(storage: StorageContext) -> None:
    trainable = Counter(storage=storage)
    result = trainable.train()
    saved = trainable.save()
    assert saved.checkpoint is not None
    assert saved.checkpoint.path == os.path.join(storage.trial_dir, "checkpoint_000000")
    assert os.listdir(saved.checkpoint.path) == [DICT_CHECKPOINT_FILE]
    state = pickle.loads(Path(saved.checkpoint.path, DICT_CHECKPOINT_FILE).read_bytes())
    assert state == {"count": 1}
    assert saved.metrics == result
    assert saved.metrics is not result


def test_metrics_are_empty_before_the_first_result(storage: StorageContext) -> None:
    assert Counter(storage=storage).save().metrics == {}


def test_a_dict_is_stored_beside_other_files(storage: StorageContext) -> None:
    class Both(Counter):
        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            Path(checkpoint_dir, "weights").write_text("w")
            return {"count": self.count}

    checkpoint = Both(storage=storage).save().checkpoint
    assert checkpoint is not None
    assert sorted(os.listdir(checkpoint.path)) == [DICT_CHECKPOINT_FILE, "weights"]


@pytest.mark.parametrize("returns", ["nothing", "same", 5, Path("/elsewhere"), True])
def test_anything_but_a_dict_or_text_means_a_directory(
    returns: Any, storage: StorageContext
) -> None:
    trainable = Files({"returns": returns}, storage=storage)
    trainable.train()
    checkpoint = trainable.save().checkpoint
    assert checkpoint is not None
    assert Path(checkpoint.path, "count").read_text() == "1"


@pytest.mark.parametrize(
    ("returns", "text"),
    [
        ("below", "without a return value"),
        ("/elsewhere", "must return a dict, None or checkpoint_dir"),
        ("", "must return a dict, None or checkpoint_dir"),
    ],
)
def test_another_path_is_refused(returns: Any, text: str, storage: StorageContext) -> None:
    trainable = Files({"returns": returns}, storage=storage)
    with pytest.raises(ValueError, match=text):
        trainable.save()
    assert os.listdir(storage.trial_dir) == []
    assert storage.next_checkpoint_index == 0


def test_the_same_path_with_a_slash_is_refused(storage: StorageContext) -> None:
    class Slash(Counter):
        def save_checkpoint(self, checkpoint_dir: str) -> str:
            return checkpoint_dir + "/"

    with pytest.raises(ValueError, match="without a return value"):
        Slash(storage=storage).save()


def test_checkpoints_are_numbered_and_each_keeps_its_own_state(storage: StorageContext) -> None:
    trainable = Counter(storage=storage)
    saved = []
    for _ in range(3):
        trainable.train()
        saved.append(trainable.save())
    assert unmarked(storage.trial_dir) == [f"checkpoint_00000{n}" for n in range(3)]
    assert storage.next_checkpoint_index == 3
    for expected, one in enumerate(saved, start=1):
        trainable.restore(one)
        assert trainable.count == expected


def test_numbering_goes_on_where_the_storage_says(storage: StorageContext) -> None:
    storage.next_checkpoint_index = 7
    checkpoint = Counter(storage=storage).save().checkpoint
    assert checkpoint is not None
    assert os.path.basename(checkpoint.path) == "checkpoint_000007"


def test_a_given_directory_is_copied_to_the_storage_and_stays(
    storage: StorageContext, tmp_path: Path
) -> None:
    given = tmp_path / "a" / "b"
    checkpoint = Counter(storage=storage).save(str(given)).checkpoint
    assert checkpoint is not None
    assert checkpoint.path == storage.checkpoint_path(0)
    assert os.listdir(given) == os.listdir(checkpoint.path) == [DICT_CHECKPOINT_FILE]


def test_a_failing_save_leaves_nothing(storage: StorageContext) -> None:
    class Failing(Counter):
        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
            Path(checkpoint_dir, "half").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Failing(storage=storage).save()
    assert os.listdir(storage.trial_dir) == []
    assert storage.next_checkpoint_index == 0


def test_saving_without_the_trial_directory_names_it(storage: StorageContext) -> None:
    os.rmdir(storage.trial_dir)
    with pytest.raises(StorageError, match=storage.trial_dir):
        Counter(storage=storage).save()


def test_a_process_killed_in_the_middle_of_a_save_leaves_no_checkpoint(
    storage: StorageContext,
) -> None:
    script = f"""
import os, pathlib, signal
from localtune.trial.trial_info import StorageContext
from localtune.trainable import Trainable
class Killed(Trainable):
    def save_checkpoint(self, checkpoint_dir):
        pathlib.Path(checkpoint_dir, "half").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
Killed(storage=StorageContext({storage.experiment_dir!r}, {storage.trial_dir!r})).save()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not os.path.exists(storage.checkpoint_path(0))
    checkpoint = Counter(storage=storage).save().checkpoint
    assert checkpoint is not None
    assert unmarked(storage.trial_dir) == ["checkpoint_000000"]
    assert os.listdir(checkpoint.path) == [DICT_CHECKPOINT_FILE]


def test_objects_of_main_travel_by_value(storage: StorageContext) -> None:
    script = f"""
from localtune.trial.trial_info import StorageContext
from localtune.trainable import Trainable
class State:
    number = 5
class Saving(Trainable):
    def save_checkpoint(self, checkpoint_dir):
        return {{"state": State()}}
Saving(storage=StorageContext({storage.experiment_dir!r}, {storage.trial_dir!r})).save()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    data = Path(storage.checkpoint_path(0), DICT_CHECKPOINT_FILE).read_bytes()
    assert pickle.loads(data)["state"].number == 5


# restore()


@pytest.mark.parametrize("form", ["result", "checkpoint", "path", "pathlib"])
def test_restore_takes_several_forms(form: str, storage: StorageContext) -> None:
    trainable = Counter(storage=storage)
    trainable.train()
    trainable.train()
    saved = trainable.save()
    assert saved.checkpoint is not None
    source: Any = {
        "result": saved,
        "checkpoint": saved.checkpoint,
        "path": saved.checkpoint.path,
        "pathlib": Path(saved.checkpoint.path),
    }[form]
    restored = Counter(storage=storage)
    restored.restore(source)
    assert restored.count == 2
    assert restored.train()["training_iteration"] == (3 if form == "result" else 1)


@pytest.mark.parametrize("returns", ["nothing", "same"])
def test_a_directory_is_loaded_by_its_path(returns: str, storage: StorageContext) -> None:
    trainable = Files({"returns": returns}, storage=storage)
    trainable.train()
    saved = trainable.save()
    assert saved.checkpoint is not None
    restored = Files({"returns": returns}, storage=storage)
    restored.restore(saved)
    assert (restored.loaded_from, restored.count) == (saved.checkpoint.path, 1)


def test_a_dict_comes_back_without_further_keys(storage: StorageContext) -> None:
    class Keeping(Counter):
        def load_checkpoint(self, checkpoint: Any) -> None:
            self.loaded = checkpoint

    trainable = Keeping(storage=storage)
    trainable.train()
    trainable.restore(trainable.save())
    assert trainable.loaded == {"count": 1}


def test_counters_go_on_and_those_since_restore_begin_again(storage: StorageContext) -> None:
    increments = {"timesteps_this_iter": 3, "episodes_this_iter": 1, "time_this_iter_s": 2.0}
    config = {"results": [increments] * 4}
    trainable = Counter(dict(config), storage=storage)
    trainable.train()
    trainable.train()
    restored = Counter(dict(config), storage=storage)
    restored.restore(trainable.save())
    first, second = restored.train(), restored.train()
    assert (first["training_iteration"], second["training_iteration"]) == (3, 4)
    assert (first["iterations_since_restore"], second["iterations_since_restore"]) == (1, 2)
    assert (first["timesteps_total"], first["timesteps_since_restore"]) == (9, 3)
    assert (second["timesteps_total"], second["timesteps_since_restore"]) == (12, 6)
    assert first["episodes_total"] == 3
    assert (first["time_total_s"], first["time_since_restore"]) == (6.0, 2.0)


def test_load_checkpoint_sees_the_restored_iteration(storage: StorageContext) -> None:
    class Watching(Counter):
        def load_checkpoint(self, checkpoint: Any) -> None:
            self.seen = self.iteration

    trainable = Watching(storage=storage)
    trainable.train()
    trainable.restore(trainable.save())
    assert trainable.seen == 1


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("/does/not/exist", ValueError),
        (TrainingResult(Checkpoint("/does/not/exist"), {"training_iteration": 9}), ValueError),
        (TrainingResult(None, {"training_iteration": 9}), ValueError),
        (5, AssertionError),
        (None, AssertionError),
        ({"count": 1}, AssertionError),
    ],
)
def test_what_cannot_be_restored_changes_nothing(
    source: Any, error: type[Exception], storage: StorageContext
) -> None:
    trainable = Counter(storage=storage)
    trainable.train()
    before = trainable.get_state()
    with pytest.raises(error):
        trainable.restore(source)
    assert trainable.get_state() == before
    assert trainable.train()["iterations_since_restore"] == 2


def test_saving_right_after_restoring_keeps_the_metrics(storage: StorageContext) -> None:
    trainable = Counter(storage=storage)
    trainable.train()
    saved = trainable.save()
    restored = Counter(storage=storage)
    restored.restore(saved)
    assert restored.save().metrics == saved.metrics
    restored.restore(saved.checkpoint or "")
    assert restored.save().metrics == {}


# reset()


class Resettable(Counter):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.seen = new_config
        self.count = 0
        return bool(new_config.get("accept", True))


def test_reset_serves_another_trial(storage: StorageContext, tmp_path: Path) -> None:
    trainable = Resettable({TRIAL_INFO: trial_info(), "results": [{}]}, storage=storage)
    trainable.train()
    trainable.restore(trainable.save())
    (tmp_path / "other").mkdir()
    other = StorageContext(str(tmp_path), str(tmp_path / "other"))
    config = {"lr": 2, TRIAL_INFO: trial_info(trial_id="new"), STDOUT_FILE: "o", STDERR_FILE: "e"}
    assert trainable.reset(config, storage=other) is True
    assert trainable.config is trainable.seen is config
    assert config == {"lr": 2}
    assert trainable.logdir == other.trial_dir
    assert trainable.get_state() == {
        "iteration": 0,
        "timesteps_total": None,
        "time_total": 0.0,
        "episodes_total": None,
        "last_result": None,
    }
    result = trainable.train()
    assert (result["trial_id"], result["training_iteration"]) == ("new", 1)
    checkpoint = trainable.save().checkpoint
    assert checkpoint is not None
    assert checkpoint.path == other.checkpoint_path(0)


def test_metrics_of_the_trial_before_do_not_leak(storage: StorageContext) -> None:
    trainable = Resettable({"results": [{"timesteps_this_iter": 4}]}, storage=storage)
    trainable.train()
    trainable.reset({}, storage=storage)
    assert trainable.save().metrics == {}
    assert "timesteps_total" not in trainable.train()


def test_a_refused_reset_leaves_the_counters(storage: StorageContext) -> None:
    trainable = Resettable(storage=storage)
    trainable.train()
    assert trainable.reset({"accept": 0}, storage=storage) is False
    assert trainable.iteration == 1


def test_a_class_without_reset_config_refuses(storage: StorageContext) -> None:
    assert Counter(storage=storage).reset({}, storage=storage) is False


def test_reset_does_not_clean_up(storage: StorageContext) -> None:
    trainable = Resettable(storage=storage)
    trainable.reset({}, storage=storage)
    assert trainable.calls == ["setup"]


def test_reset_starts_and_stops_the_utilisation_monitor(storage: StorageContext) -> None:
    trainable = Resettable({"log_sys_usage": True}, storage=storage)
    first = trainable._monitor
    trainable.reset({"log_sys_usage": True}, storage=storage)
    assert trainable._monitor is not first
    trainable.reset({}, storage=storage)
    assert trainable._monitor is None


# stop(), export_model() and facts


def test_stop_cleans_up(storage: StorageContext) -> None:
    trainable = Counter(storage=storage)
    trainable.stop()
    assert trainable.calls == ["setup", "cleanup"]


def test_errors_of_cleanup_come_through(storage: StorageContext) -> None:
    class Failing(Counter):
        def cleanup(self) -> None:
            raise OSError("cannot clean up")

    with pytest.raises(OSError, match="cannot clean up"):
        Failing(storage=storage).stop()


def test_export_model(storage: StorageContext, tmp_path: Path) -> None:
    class Exporting(Counter):
        def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
            return {name: os.path.join(export_dir, name) for name in export_formats}

    trainable = Exporting(storage=storage)
    assert trainable.export_model("onnx") == {"onnx": os.path.join(storage.trial_dir, "onnx")}
    exported = trainable.export_model(["h5", "model"], export_dir=str(tmp_path))
    assert exported == {"h5": str(tmp_path / "h5"), "model": str(tmp_path / "model")}
    assert Counter(storage=storage).export_model("onnx") == {}


def test_state(storage: StorageContext) -> None:
    results = [{"timesteps_this_iter": 2, "episodes_this_iter": 1, "time_this_iter_s": 0.5}]
    trainable = Counter({"results": results}, storage=storage)
    result = trainable.train()
    assert trainable.get_state() == {
        "iteration": 1,
        "timesteps_total": 2,
        "time_total": 0.5,
        "episodes_total": 1,
        "last_result": result,
    }


def test_auto_filled_metrics(storage: StorageContext) -> None:
    trainable = Counter({"lr": 1}, storage=storage)
    debug = trainable.get_auto_filled_metrics(debug_metrics_only=True)
    assert list(debug) == ["trial_id", "date", "timestamp", "pid", "hostname", "node_ip", "config"]
    now = datetime(2024, 5, 6, 7, 8, 9)
    filled = trainable.get_auto_filled_metrics(now=now, time_this_iter=2.5)
    assert list(filled) == AUTO_FILLED
    assert filled["date"] == "2024-05-06_07-08-09"
    assert filled["timestamp"] == int(now.timestamp())
    assert filled["time_this_iter_s"] == 2.5
    assert trainable.get_auto_filled_metrics(timestamp=77)["timestamp"] == 77


# Stand-alone


def test_a_stand_alone_trainable_writes_result_files() -> None:
    trainable = Counter({"lr": 0.1, "results": [{"loss": 1, "eval": {"acc": 0.5}}, {"loss": 2}]})
    logdir = Path(trainable.logdir)
    assert logdir.parent == Path.home() / "localtune_results"
    datetime.strptime(logdir.name[:19], "%Y-%m-%d_%H-%M-%S")
    first, second = trainable.train(), trainable.train()
    lines = (logdir / "result.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [first, second]
    with open(logdir / "progress.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["loss"] for row in rows] == ["1", "2"]
    assert [row["eval/acc"] for row in rows] == ["0.5", ""]
    assert not any(name.startswith("config") for name in rows[0])
    assert json.loads((logdir / "params.json").read_text()) == trainable.config
    assert pickle.loads((logdir / "params.pkl").read_bytes()) == trainable.config
    trainable.stop()


def test_two_stand_alone_trainables_have_two_directories() -> None:
    first, second = Counter(), Counter()
    assert first.logdir != second.logdir
    first.stop()
    second.stop()


def test_a_stand_alone_checkpoint_lies_in_a_temporary_directory(tmp_path: Path) -> None:
    trainable = Counter()
    trainable.train()
    saved = trainable.save()
    assert saved.checkpoint is not None
    assert Path(saved.checkpoint.path).parent == tmp_path / "tmp"
    restored = Counter()
    restored.restore(saved)
    assert restored.train()["count"] == 2
    trainable.stop()
    restored.stop()


def test_a_failing_stand_alone_save_leaves_nothing(tmp_path: Path) -> None:
    trainable = Files({"returns": "/elsewhere"})
    with pytest.raises(ValueError, match="must return"):
        trainable.save()
    assert list((tmp_path / "tmp").iterdir()) == []
    trainable.stop()


def test_a_stand_alone_checkpoint_stays_in_a_given_directory(tmp_path: Path) -> None:
    trainable = Counter()
    checkpoint = trainable.save(str(tmp_path / "given")).checkpoint
    assert checkpoint is not None
    assert checkpoint.path == str(tmp_path / "given")
    trainable.stop()


def test_a_reset_stand_alone_trainable_writes_to_a_new_directory() -> None:
    trainable = Resettable({"lr": 1})
    before = trainable.logdir
    trainable.reset({"lr": 2})
    assert trainable.logdir != before
    trainable.train()
    assert len(Path(trainable.logdir, "result.json").read_text().splitlines()) == 1
    assert Path(before, "result.json").read_text() == ""
    trainable.stop()


class RecordingLogger:
    def __init__(self, logdir: str) -> None:
        self.logdir = logdir
        self.events: list[Any] = []

    def on_result(self, result: dict[str, Any]) -> None:
        self.events.append(result["training_iteration"])

    def flush(self) -> None:
        self.events.append("flush")

    def close(self) -> None:
        self.events.append("close")


def test_a_logger_creator_gets_the_config_and_each_result(tmp_path: Path) -> None:
    configs: list[Any] = []
    loggers = [RecordingLogger(str(tmp_path)), RecordingLogger(str(tmp_path / "second"))]

    def create(config: dict[str, Any]) -> RecordingLogger:
        configs.append(config)
        return loggers[len(configs) - 1]

    trainable = Resettable({"lr": 1}, logger_creator=create)
    assert trainable.logdir == str(tmp_path)
    trainable.train()
    trainable.reset({"lr": 2}, logger_creator=create)
    assert trainable.logdir == str(tmp_path / "second")
    trainable.train()
    trainable.stop()
    assert configs == [{"lr": 1}, {"lr": 2}]
    assert [logger.events for logger in loggers] == [[1, "flush", "close"]] * 2
