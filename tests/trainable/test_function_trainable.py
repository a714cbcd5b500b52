from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.error import TrialStopped
from localtune.result import TRIAL_INFO
from localtune.trainable.function_trainable import FunctionTrainable, wrap_function
from localtune.trainable.session import get_checkpoint, get_context, report
from localtune.trainable.util import with_parameters
from localtune.trial.trial_info import StorageContext, TrialInfo
from tests.records import unmarked

Make = Callable[..., FunctionTrainable]


@pytest.fixture
def make(storage: StorageContext) -> Iterator[Make]:
    """Makes trainables of functions, and stops them in the end."""
    made = []

    def make(
        function: Any, config: dict[str, Any] | None = None, where: StorageContext = storage
    ) -> FunctionTrainable:
        trainable = wrap_function(function)(config, storage=where)
        made.append(trainable)
        return trainable

    yield make
    for trainable in made:
        trainable.stop()


def checkpoint_of(state: Any, directory: Path) -> Checkpoint:
    directory.mkdir(exist_ok=True)
    (directory / "state").write_bytes(pickle.dumps(state))
    return Checkpoint.from_directory(directory)


def state_of(checkpoint: Checkpoint) -> Any:
    with checkpoint.as_directory() as path:
        return pickle.loads(Path(path, "state").read_bytes())


@pytest.fixture
def counting(tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Counts on from its checkpoint, and reports one each time."""

    def counting(config: dict[str, Any]) -> None:
        checkpoint = get_checkpoint()
        count = state_of(checkpoint) if checkpoint else 0
        while True:
            count += 1
            report({"count": count}, checkpoint=checkpoint_of(count, tmp_path / "working"))

    return counting


def train_to_the_end(trainable: FunctionTrainable) -> list[dict[str, Any]]:
    results = []
    while "__duplicate__" not in (result := trainable.train()):
        results.append(result)
    return results


# Reports


def test_each_report_is_one_result(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        for loss in config["losses"]:
            report({"loss": loss})

    results = train_to_the_end(make(train, {"losses": [3, 2, 1]}))
    assert [result["loss"] for result in results] == [3, 2, 1]
    assert [result["training_iteration"] for result in results] == [1, 2, 3]


def test_keys_stand_in_the_order_of_the_contract(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        report({"b": 1, "a": 2})

    keys = list(make(train).train())
    assert keys[:8] == [
        "b",
        "a",
        "timestamp",
        "checkpoint_dir_name",
        "should_checkpoint",
        "done",
        "training_iteration",
        "trial_id",
    ]


def test_a_report_without_a_checkpoint_says_so(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        report({"should_checkpoint": True, "checkpoint_dir_name": "x", "timestamp": 5})

    result = make(train).train()
    assert result["checkpoint_dir_name"] is None
    assert result["should_checkpoint"] is False
    assert result["timestamp"] > 5


def test_the_reported_dict_is_left_as_it_is_and_may_be_reused(make: Make) -> None:
    metrics: dict[str, Any] = {"loss": np.float32(1)}

    def train(config: dict[str, Any]) -> None:
        report(metrics)
        metrics["loss"] = np.float32(2)
        report(metrics)

    trainable = make(train)
    first = trainable.train()
    assert metrics == {"loss": np.float32(1)}
    second = trainable.train()
    assert (first["loss"], second["loss"]) == (1.0, 2.0)
    assert type(first["loss"]) is float


def test_code_after_a_report_runs_only_with_the_next_train(make: Make) -> None:
    done = []

    def train(config: dict[str, Any]) -> None:
        report({"loss": 1})
        done.append("after")

    trainable = make(train)
    trainable.train()
    assert done == []
    trainable.train()
    assert done == ["after"]


def test_the_function_gets_the_config_itself(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        config["added"] = True
        report({})

    config = {"lr": 1}
    result = make(train, config).train()
    assert result["config"] is config
    assert config == {"lr": 1, "added": True}


def test_done_may_be_reported(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        report({"done": True})

    assert make(train).train()["done"] is True


def test_the_closing_reply_comes_through_untouched(make: Make) -> None:
    trainable = make(lambda config: None)
    reply = trainable.train()
    assert list(reply) == ["__duplicate__", "timestamp", "checkpoint_dir_name", "should_checkpoint"]
    assert reply["__duplicate__"] is True
    assert reply["checkpoint_dir_name"] is None
    assert reply["should_checkpoint"] is False
    assert trainable.iteration == 0


def test_training_on_after_the_end_is_refused(make: Make) -> None:
    trainable = make(lambda config: None)
    trainable.train()
    with pytest.raises(RuntimeError, match="has ended"):
        trainable.train()


# What a function returns or yields


@pytest.mark.parametrize("nothing", [None, {}, [], "", 0, 0.0, False, ()])
def test_nothing_is_reported_for_empty_values(nothing: Any, make: Make) -> None:
    assert train_to_the_end(make(lambda config: nothing)) == []


@pytest.mark.parametrize(
    ("number", "expected"),
    [(5, 5), (0.5, 0.5), (True, True), (np.float32(0.5), 0.5), (np.int64(7), 7)],
)
def test_a_number_is_reported_as_metric(number: Any, expected: Any, make: Make) -> None:
    (result,) = train_to_the_end(make(lambda config: number))
    assert result["_metric"] == expected
    assert type(result["_metric"]) is type(expected)


def test_a_returned_dict_is_one_more_result(make: Make) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        report({"loss": 2})
        return {"loss": 1}

    results = train_to_the_end(make(train))
    assert [(result["loss"], result["training_iteration"]) for result in results] == [
        (2, 1),
        (1, 2),
    ]


@pytest.mark.parametrize("value", ["text", [1], (1,), np.zeros(2), object(), {1}])
def test_other_values_are_refused(value: Any, make: Make) -> None:
    trainable = make(lambda config: value)
    with pytest.raises(ValueError, match="must return or yield a dict of metrics"):
        trainable.train()


def test_yielded_values_follow_the_same_rules(make: Make) -> None:
    def train(config: dict[str, Any]) -> Generator[Any, None, Any]:
        yield {"loss": 1}
        yield None
        yield 0
        yield 5
        return {"loss": "lost"}

    results = train_to_the_end(make(train))
    assert [(result.get("loss"), result.get("_metric")) for result in results] == [
        (1, None),
        (None, 5),
    ]


def test_a_refused_yield_ends_the_generator(make: Make) -> None:
    ended = []

    def train(config: dict[str, Any]) -> Iterator[Any]:
        try:
            yield "text"
        finally:
            ended.append(True)

    with pytest.raises(ValueError, match="must return or yield"):
        make(train).train()
    assert ended == [True]


class Owner:
    def train(self, config: dict[str, Any], losses: Any = (1, 2)) -> Iterator[dict[str, Any]]:
        for loss in losses:
            yield {"loss": loss}


@pytest.mark.parametrize(
    "function",
    [
        Owner().train,
        partial(Owner().train, losses=[1, 2]),
        with_parameters(Owner().train, losses=[1, 2]),
        lambda config: Owner().train(config),
    ],
    ids=["bound", "partial", "with_parameters", "lambda"],
)
def test_a_generator_is_known_by_what_it_returns(function: Any, make: Make) -> None:
    assert [result["loss"] for result in train_to_the_end(make(function))] == [1, 2]


# Errors


def test_an_error_comes_after_the_results_before_it(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        report({"loss": 1})
        raise KeyError("gone")

    trainable = make(train)
    assert trainable.train()["loss"] == 1
    with pytest.raises(KeyError) as caught:
        trainable.train()
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "train"


@pytest.mark.parametrize("error", [SystemExit(), SystemExit(0), StopIteration()])
def test_a_silent_end_is_an_error(error: BaseException, make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        raise error

    with pytest.raises(RuntimeError, match=r"SystemExit|StopIteration") as caught:
        make(train).train()
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [SystemExit(3), SystemExit("text"), KeyboardInterrupt()])
def test_other_base_exceptions_come_through(error: BaseException, make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        make(train).train()
    assert caught.value is error


def test_a_class_without_a_function_says_so(storage: StorageContext) -> None:
    with pytest.raises(NotImplementedError, match="wrap_function"):
        FunctionTrainable(storage=storage).train()


@pytest.mark.parametrize(
    ("metrics", "checkpoint", "error", "text"),
    [
        (5, None, TypeError, "is an old form that reports a number"),
        ("5", None, TypeError, "takes a dict of metrics, but got str"),
        (None, None, TypeError, "takes a dict"),
        ({}, "path", TypeError, r"Checkpoint\.from_directory\(path\)"),
        ({}, Checkpoint("/does/not/exist"), FileNotFoundError, "/does/not/exist"),
        ({"text": "x" * 17_000_000}, None, ValueError, "'text'"),
    ],
)
def test_a_bad_report_fails_in_the_users_line(
    metrics: Any, checkpoint: Any, error: type[Exception], text: str, make: Make
) -> None:
    def train(config: dict[str, Any]) -> None:
        with pytest.raises(error, match=text):
            report(metrics, checkpoint=checkpoint)
        report({"went_on": True})

    assert make(train).train()["went_on"]


def test_old_styles_of_report_are_refused(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        (hidden,) = [report]  # from the check of the text
        with pytest.raises(TypeError, match="is an old form"):
            hidden(loss=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            report({}, {})  # type: ignore[arg-type, call-arg]

    make(train).train()


# Checkpoints


def test_a_reported_checkpoint_is_stored(
    make: Make, storage: StorageContext, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def train(config: dict[str, Any]) -> None:
        seen.append(get_checkpoint())
        working = tmp_path / "working"
        (working / "sub").mkdir(parents=True)
        (working / ".hidden").touch()
        (working / "sub" / "weights").touch()
        report({"loss": 1}, checkpoint=checkpoint_of(5, working))
        seen.append(get_checkpoint())
        seen.append(sorted(os.listdir(working)))
        report({"loss": 0})
        seen.append(get_checkpoint())

    trainable = make(train)
    result = trainable.train()
    assert result["checkpoint_dir_name"] == "checkpoint_000000"
    assert result["should_checkpoint"] is True
    saved = trainable.save()
    assert saved.checkpoint is not None
    assert saved.checkpoint.path == storage.checkpoint_path(0)
    assert saved.metrics == result
    assert state_of(saved.checkpoint) == 5
    assert sorted(os.listdir(saved.checkpoint.path)) == [".hidden", "state", "sub"]
    assert os.listdir(os.path.join(saved.checkpoint.path, "sub")) == ["weights"]
    assert storage.next_checkpoint_index == 1

    trainable.train()
    assert trainable.save().checkpoint is None
    trainable.train()
    before, stored, left, newest = seen
    assert before is None
    assert stored.path == newest.path == saved.checkpoint.path
    assert left == [".hidden", "state", "sub"]


def test_each_reported_checkpoint_is_kept(
    make: Make, counting: Any, storage: StorageContext
) -> None:
    trainable = make(counting)
    saved = []
    for _ in range(3):
        trainable.train()
        saved.append(trainable.save().checkpoint)
    assert [state_of(checkpoint) for checkpoint in saved if checkpoint] == [1, 2, 3]
    assert unmarked(storage.trial_dir) == [f"checkpoint_00000{n}" for n in range(3)]


def test_restoring_again_and_again_goes_on(make: Make, counting: Any) -> None:
    saved = None
    for _ in range(5):
        trainable = make(counting)
        if saved is not None:
            trainable.restore(saved)
        trainable.train()
        result = trainable.train()
        saved = trainable.save()
    assert result["count"] == result["training_iteration"] == 10
    assert result["iterations_since_restore"] == 2


@pytest.mark.parametrize("form", ["checkpoint", "path"])
def test_restoring_without_metrics_counts_from_zero(form: str, make: Make, counting: Any) -> None:
    trainable = make(counting)
    trainable.train()
    checkpoint = trainable.save().checkpoint
    assert checkpoint is not None
    restored = make(counting)
    restored.restore(checkpoint if form == "checkpoint" else checkpoint.path)
    result = restored.train()
    assert (result["count"], result["training_iteration"]) == (2, 1)


def test_restoring_a_result_without_a_checkpoint_starts_from_scratch(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        assert get_checkpoint() is None
        for step in range(9):
            report({"step": step})

    trainable = make(train)
    trainable.train()
    trainable.train()
    saved = trainable.save()
    assert saved.checkpoint is None
    restored = make(train)
    restored.restore(saved)
    result = restored.train()
    assert (result["step"], result["training_iteration"]) == (0, 1)


def test_a_running_function_begins_again_when_restored(make: Make, counting: Any) -> None:
    trainable = make(counting)
    trainable.train()
    saved = trainable.save()
    trainable.train()
    trainable.restore(saved)
    result = trainable.train()
    assert (result["count"], result["training_iteration"]) == (2, 2)


def test_saving_right_after_restoring_keeps_the_checkpoint(make: Make, counting: Any) -> None:
    trainable = make(counting)
    trainable.train()
    saved = trainable.save()
    restored = make(counting)
    restored.restore(saved)
    again = restored.save()
    assert saved.checkpoint and again.checkpoint
    assert again.checkpoint.path == saved.checkpoint.path
    assert again.metrics == saved.metrics


def test_restoring_what_is_not_there_changes_nothing(make: Make, counting: Any) -> None:
    trainable = make(counting)
    trainable.train()
    with pytest.raises(ValueError, match="/does/not/exist"):
        trainable.restore(TrainingResult(Checkpoint("/does/not/exist"), {}))
    assert trainable.train()["count"] == 2


def test_saving_before_the_first_report_is_refused(make: Make) -> None:
    with pytest.raises(AssertionError, match="before the first report"):
        make(lambda config: 1).save()


def test_saving_into_a_given_directory_is_refused(make: Make, tmp_path: Path) -> None:
    trainable = make(lambda config: 1)
    trainable.train()
    with pytest.raises(ValueError, match="report"):
        trainable.save(str(tmp_path))
    with pytest.raises(ValueError, match="report"):
        trainable.save_checkpoint("x")


def test_saving_after_the_end_keeps_the_last_report(make: Make, tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        report({"loss": 1}, checkpoint=checkpoint_of(1, tmp_path / "working"))

    trainable = make(train)
    train_to_the_end(trainable)
    saved = trainable.save()
    assert saved.metrics["loss"] == 1
    assert saved.checkpoint is not None


# Actor reuse


def test_reset_serves_another_trial(make: Make, counting: Any, tmp_path: Path) -> None:
    trainable = make(counting)
    trainable.train()
    (tmp_path / "other").mkdir()
    other = StorageContext(str(tmp_path), str(tmp_path / "other"))
    info = TrialInfo("new", "train_new", "exp", other.trial_dir, other.experiment_dir, None)
    assert trainable.reset({TRIAL_INFO: info}, storage=other) is True
    with pytest.raises(AssertionError, match="before the first report"):
        trainable.save()
    result = trainable.train()
    assert (result["count"], result["training_iteration"], result["trial_id"]) == (1, 1, "new")
    checkpoint = trainable.save().checkpoint
    assert checkpoint is not None
    assert checkpoint.path == other.checkpoint_path(0)


def test_reset_unwinds_the_function_before(make: Make, storage: StorageContext) -> None:
    events = []

    def train(config: dict[str, Any]) -> None:
        try:
            while True:
                report({})
        finally:
            events.append(config["name"])

    trainable = make(train, {"name": "first"})
    trainable.train()
    trainable.reset({"name": "second"}, storage=storage)
    assert events == ["first"]
    trainable.train()
    trainable.stop()
    assert events == ["first", "second"]


# stop()


def test_stop_unwinds_the_function(make: Make) -> None:
    events: list[Any] = []

    def train(config: dict[str, Any]) -> None:
        try:
            report({})
            events.append("never")
        except Exception:
            events.append("never")
        except BaseException as error:
            events.append(type(error))
            raise
        finally:
            events.append("finally")

    trainable = make(train)
    trainable.train()
    trainable.stop()
    assert events == [TrialStopped, "finally"]


def test_stop_unwinds_a_generator(make: Make) -> None:
    events = []

    def train(config: dict[str, Any]) -> Iterator[Any]:
        try:
            while True:
                yield 1
        finally:
            events.append("finally")

    trainable = make(train)
    trainable.train()
    trainable.stop()
    assert events == ["finally"]


def test_a_report_while_unwinding_is_stopped_too_and_stores_nothing(
    make: Make, storage: StorageContext, tmp_path: Path
) -> None:
    events = []

    def train(config: dict[str, Any]) -> None:
        try:
            report({})
        finally:
            try:
                report({}, checkpoint=checkpoint_of(1, tmp_path / "working"))
            except TrialStopped:
                events.append("again")

    trainable = make(train)
    trainable.train()
    trainable.stop()
    assert events == ["again"]
    assert os.listdir(storage.trial_dir) == []


def test_what_a_stopped_function_returns_is_lost(make: Make) -> None:
    def train(config: dict[str, Any]) -> Any:
        try:
            report({})
        except TrialStopped:
            return {"loss": 1}

    trainable = make(train)
    trainable.train()
    trainable.stop()
    assert trainable.iteration == 1


def test_errors_while_unwinding_come_from_stop(make: Make) -> None:
    def train(config: dict[str, Any]) -> None:
        try:
            report({})
        finally:
            raise OSError("cannot clean up")

    trainable = make(train)
    trainable.train()
    with pytest.raises(OSError, match="cannot clean up"):
        trainable.stop()


def test_stop_before_the_first_train_never_runs_the_function(make: Make) -> None:
    events = []
    trainable = make(lambda config: events.append("ran"))
    trainable.stop()
    assert events == []


# Facts


def test_name_and_context(make: Make, storage: StorageContext) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        context = get_context()
        return {
            "facts": (
                context.get_experiment_name(),
                context.get_trial_name(),
                context.get_trial_id(),
                context.get_trial_resources(),
                context.get_trial_dir(),
            ),
            "storage": context.get_storage(),
        }

    info = TrialInfo("abc", "train_abc", "exp", storage.trial_dir, storage.experiment_dir, None)
    trainable = make(train, {TRIAL_INFO: info})
    assert repr(trainable) == "train"
    result = trainable.train()
    assert result["facts"] == ("exp", "train_abc", "abc", None, storage.trial_dir)
    assert result["storage"] is storage


def test_a_function_stands_alone(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        context = get_context()
        names = (context.get_experiment_name(), context.get_trial_name(), context.get_trial_id())
        working = checkpoint_of(1, tmp_path / "working")
        report({"names": names, "dir": context.get_trial_dir()}, checkpoint=working)

    trainable = wrap_function(train)()
    result = trainable.train()
    assert result["names"] == ("default", "default", "default")
    assert result["dir"] == trainable.logdir
    checkpoint = trainable.save().checkpoint
    assert checkpoint is not None
    assert checkpoint.path == os.path.join(trainable.logdir, "checkpoint_000000")
    assert "result.json" in os.listdir(trainable.logdir)
    trainable.stop()
