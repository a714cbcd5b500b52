from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.analysis.result import Result
from localtune.error import TrialTaskError
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.failures import write_error
from localtune.trial.status import Status
from tests.logger.recorder import Recorder
from tests.records import add_checkpoint, add_results, make_trial, trial_at
from tests.small_runs import fit

NAN = float("nan")


class Counter(tune.Trainable):
    """Counts down its score, and saves."""

    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"score": -self.count, "eval": {"acc": self.count}, "done": self.count == 3}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        assert checkpoint is not None
        self.count = checkpoint["count"]


def counting(config: dict[str, Any]) -> None:
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        start = int(Path(checkpoint.path, "step").read_text())
    for step in range(start + 1, 4):
        Path("saved").mkdir(exist_ok=True)
        Path("saved", "step").write_text(str(step))
        metrics = {"score": config["scores"][step - 1], "eval": {"acc": step}}
        tune.report(metrics, checkpoint=tune.Checkpoint.from_directory("saved"))
        if config.get("fail_at") == step and start == 0:
            raise ValueError("no luck")


def name_of(checkpoint: tune.Checkpoint | None) -> str:
    assert checkpoint is not None
    return Path(checkpoint.path).name


# -- of a run -----------------------------------------------------------------------------------


def test_a_result_holds_what_the_trial_came_to(tmp_path: Path) -> None:
    (result,) = fit(counting, tmp_path, {"scores": [5, 7, 6]})

    assert result.metrics is not None
    assert (result.metrics["score"], result.metrics["eval"]) == (6, {"acc": 3})
    assert result.metrics["training_iteration"] == 3
    assert result.metrics["experiment_tag"] == "0"
    assert result.config == {"scores": [5, 7, 6]} == result.metrics["config"]
    assert result.error is None
    assert Path(str(result.path)).parent == tmp_path / "run"
    assert name_of(result.checkpoint) == "checkpoint_000002"
    assert result.filesystem is None


def test_the_table_of_a_result_has_all_rows_with_flat_columns(tmp_path: Path) -> None:
    (result,) = fit(counting, tmp_path, {"scores": [5, 7, 6], "net": {"layers": 2}})

    frame = result.metrics_dataframe
    assert frame is not None
    assert list(frame["score"]) == [5, 7, 6]
    assert list(frame["eval/acc"]) == [1, 2, 3]
    assert list(frame["config/net/layers"]) == [2, 2, 2]


def test_each_iteration_stands_once_in_the_table_after_a_retry(tmp_path: Path) -> None:
    (result,) = fit(
        counting,
        tmp_path,
        {"scores": [5, 7, 6], "fail_at": 2},
        max_failures=1,
    )

    frame = result.metrics_dataframe
    assert frame is not None
    assert list(frame["training_iteration"]) == [1, 2, 3]
    assert result.error is None


def test_the_table_is_read_once(tmp_path: Path) -> None:
    (result,) = fit(counting, tmp_path, {"scores": [5, 7, 6]})

    frame = result.metrics_dataframe
    shutil.rmtree(result.path)

    assert result.metrics_dataframe is frame
    assert Result({}, None, None).metrics_dataframe is None


def test_the_table_of_a_trial_without_results_is_empty(tmp_path: Path) -> None:
    (result,) = fit(lambda config: None, tmp_path)

    assert result.metrics_dataframe is not None and len(result.metrics_dataframe) == 0
    assert Result({}, None, None).metrics_dataframe is None


def test_an_error_is_that_of_the_user_and_tells_of_the_trial(tmp_path: Path) -> None:
    (result,) = fit(counting, tmp_path, {"scores": [5, 7, 6], "fail_at": 2})

    assert isinstance(result.error, ValueError) and isinstance(result.error, TrialTaskError)
    assert "no luck" in str(result.error)
    assert result.metrics is not None and result.metrics["score"] == 7


def test_best_checkpoints_are_those_that_retention_keeps(tmp_path: Path) -> None:
    rule: dict[str, Any] = {"num_to_keep": 2, "checkpoint_score_attribute": "score"}

    (result,) = fit(counting, tmp_path, {"scores": [5, 4, 3]}, **rule)

    assert [name_of(each) for each, _ in result.best_checkpoints] == [
        "checkpoint_000001",
        "checkpoint_000000",
    ]
    assert [metrics["score"] for _, metrics in result.best_checkpoints] == [4, 5]
    assert name_of(result.checkpoint) == "checkpoint_000002"


@pytest.mark.parametrize(
    ("metric", "mode", "number"),
    [("score", "max", 1), ("score", "min", 2), ("eval/acc", "max", 3), ("eval/acc", "min", 0)],
)
def test_the_best_checkpoint_by_a_metric(
    metric: str, mode: str, number: int, tmp_path: Path
) -> None:
    checkpoints = [
        (tune.Checkpoint(f"/trial/{index}"), {"score": score, "eval": {"acc": index}})
        for index, score in enumerate([NAN, 7, 3, 7])
    ]
    result = Result(metrics={}, checkpoint=None, error=None, best_checkpoints=checkpoints)

    assert result.get_best_checkpoint(metric, mode) is checkpoints[number][0]


def test_no_best_checkpoint_says_why() -> None:
    checkpoint = tune.Checkpoint("/trial/checkpoint_000000")
    metrics: dict[str, Any] = {"score": 1, "eval": {"acc": 2}, "note": "x", "config": {"lr": 1}}
    result = Result(metrics, checkpoint, None, "/trial", [(checkpoint, metrics)])

    with pytest.raises(
        RuntimeError,
        match=r"'/trial' has a value of 'scores'\. They have: config, eval, note, score\.",
    ):
        result.get_best_checkpoint("scores", "max")
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', but got 'most'"):
        result.get_best_checkpoint("score", "most")
    with pytest.raises(RuntimeError, match="has no checkpoints"):
        Result(metrics, None, None, "/trial").get_best_checkpoint("score", "max")


def test_the_repr_keeps_the_config_apart() -> None:
    checkpoint = tune.Checkpoint("/trial/checkpoint_000000")
    result = Result({"loss": 1, "config": {"lr": 2}}, checkpoint, ValueError("x"), "/trial")

    assert repr(result) == (
        "Result(\n  metrics={'loss': 1},\n  config={'lr': 2},\n  path='/trial',\n"
        "  checkpoint=Checkpoint(filesystem=local, path=/trial/checkpoint_000000),\n"
        "  error=ValueError: x\n)"
    )
    assert (
        repr(Result(None, None, None)) == "Result(\n  metrics={},\n  config=None,\n  path=None\n)"
    )


# -- of a directory -----------------------------------------------------------------------------


def test_a_result_is_read_from_its_directory(tmp_path: Path) -> None:
    (ran,) = fit(counting, tmp_path, {"scores": [5, 7, 6]})

    result = Result.from_path(str(ran.path))

    assert result.metrics is not None
    assert (result.metrics["score"], result.config) == (6, {"scores": [5, 7, 6]})
    assert (result.path, result.error) == (ran.path, None)
    assert name_of(result.checkpoint) == "checkpoint_000002"
    assert [metrics["score"] for _, metrics in result.best_checkpoints] == [5, 7, 6]
    assert name_of(result.get_best_checkpoint("score", "max")) == "checkpoint_000001"
    assert result.metrics_dataframe is not None and len(result.metrics_dataframe) == 3


def test_the_checkpoints_of_a_class_are_read_with_their_metrics(tmp_path: Path) -> None:
    rule = {"checkpoint_frequency": 1}
    (ran,) = fit(Counter, tmp_path, **rule)

    result = Result.from_path(str(ran.path))

    assert [metrics["score"] for _, metrics in result.best_checkpoints] == [-1, -2, -3]
    assert name_of(result.get_best_checkpoint("score", "max")) == "checkpoint_000000"
    assert name_of(result.get_best_checkpoint("eval/acc", "max")) == "checkpoint_000002"


def test_a_trial_is_read_apart_from_its_experiment(tmp_path: Path) -> None:
    rule = {"checkpoint_frequency": 1}
    (ran,) = fit(Counter, tmp_path, **rule)
    shutil.copytree(str(ran.path), tmp_path / "copy")

    result = Result.from_path(tmp_path / "copy")

    assert result.metrics is not None and result.metrics["score"] == -3
    assert [name_of(each) for each, _ in result.best_checkpoints] == [
        "checkpoint_000000",
        "checkpoint_000001",
        "checkpoint_000002",
    ]
    with pytest.raises(RuntimeError, match="has a value of 'score'"):
        result.get_best_checkpoint("score", "max")


def test_a_damaged_database_does_not_keep_a_trial_from_being_read(tmp_path: Path) -> None:
    (ran,) = fit(counting, tmp_path, {"scores": [5, 7, 6]})
    (tmp_path / "run" / "experiment.db").write_bytes(b"damaged " * 1000)

    result = Result.from_path(str(ran.path))

    assert name_of(result.get_best_checkpoint("score", "max")) == "checkpoint_000001"


def test_an_error_is_read(tmp_path: Path) -> None:
    (ran,) = fit(counting, tmp_path, {"scores": [5, 7, 6], "fail_at": 2})

    result = Result.from_path(str(ran.path))

    assert isinstance(result.error, ValueError)
    assert str(result.error) == str(ran.error)


def test_an_error_that_a_trial_recovered_from_is_none_of_its_result(tmp_path: Path) -> None:
    (ran,) = fit(
        counting,
        tmp_path,
        {"scores": [5, 7, 6], "fail_at": 2},
        max_failures=1,
    )

    assert (Path(str(ran.path)) / "error.txt").exists()
    assert Result.from_path(str(ran.path)).error is None


def test_a_trial_that_failed_before_its_first_result_has_empty_metrics(tmp_path: Path) -> None:
    def fails(config: dict[str, Any]) -> None:
        raise ValueError("at once")

    (ran,) = fit(fails, tmp_path)

    result = Result.from_path(str(ran.path))

    assert result.metrics is not None and "training_iteration" not in result.metrics
    assert (result.config, result.checkpoint) == ({}, None)
    assert isinstance(result.error, ValueError)


def test_an_unfinished_trial_is_read_from_its_files_and_the_record(tmp_path: Path) -> None:
    """The record of a run that was killed lags behind the files."""
    trial, recorder = make_trial(tmp_path), Recorder()
    recorder.start(trial)
    recorder.report(trial, score=1)
    add_checkpoint(trial)
    db = ExperimentDB(str(tmp_path))
    db.save([trial])
    db.close()
    recorder.report(trial, score=2)
    recorder.end()

    result = Result.from_path(trial.path)

    assert result.metrics is not None and result.metrics["score"] == 2
    assert [metrics["score"] for _, metrics in result.best_checkpoints] == [1]
    assert (name_of(result.checkpoint), result.error) == ("checkpoint_000000", None)


def test_a_finished_trial_needs_no_files(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, config={"lr": 1})
    add_results(trial, [{"score": 1}])
    trial.status = Status.TERMINATED
    db = ExperimentDB(str(tmp_path))
    db.save([trial])
    db.close()

    result = Result.from_path(trial.path)

    assert result.metrics is not None
    assert (result.metrics["score"], result.config) == (1, {"lr": 1})


def trial_dir(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    (tmp_path / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_only_the_text_of_an_error_may_be_left(tmp_path: Path) -> None:
    write_error(trial_at(trial_dir(tmp_path, {"loss": 1})), 1, 0.0, ValueError("no luck"))
    (tmp_path / "error.pkl").unlink()

    error = Result.from_path(tmp_path).error

    assert isinstance(error, str)
    assert error.startswith("Failure # 1 (occurred at ") and "no luck" in error


def test_checkpoints_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    rows = [{"score": 1, "checkpoint_dir_name": "checkpoint_1000000"}]
    directory = trial_dir(tmp_path, {"score": 0, "checkpoint_dir_name": None}, *rows)
    for name in ("checkpoint_999999", "checkpoint_1000000", "checkpoint_x", ".staging_1"):
        (directory / name).mkdir()

    result = Result.from_path(directory)

    assert name_of(result.checkpoint) == "checkpoint_1000000"
    assert [metrics for _, metrics in result.best_checkpoints] == [{}, rows[0]]


def test_a_result_is_read_from_the_csv_file_if_there_is_no_other(tmp_path: Path) -> None:
    (ran,) = fit(counting, tmp_path, {"scores": [5, 7, 6]})
    (Path(str(ran.path)) / "result.json").unlink()

    result = Result.from_path(str(ran.path))

    assert result.metrics is not None
    assert (result.metrics["score"], result.metrics["training_iteration"]) == (6, 3)
    assert name_of(result.get_best_checkpoint("eval/acc", "min")) == "checkpoint_000000"


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial_dir(tmp_path, {"loss": 1})
    monkeypatch.setenv("HOME", str(tmp_path.parent))

    assert Result.from_path(f"~/{tmp_path.name}").path == str(tmp_path)


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"There is no directory of a trial at '.*gone'"):
        Result.from_path(tmp_path / "gone")


def test_a_directory_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"it has neither result\.json nor progress\.csv"):
        Result.from_path(tmp_path)
