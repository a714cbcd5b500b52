"""When checkpoints are made, which are kept, and what starts from them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.checkpoint import Checkpoint
from tests.small_runs import (
    CannotSave,
    Counting,
    PauseAlways,
    Recorder,
    checkpoint_names,
    fit,
    make_tuner,
    processes,
    reporting,
    reporting_checkpoints,
    rows,
)


def iterations(result: Any) -> list[int]:
    """The iterations at which the kept checkpoints were made."""
    return [metrics["training_iteration"] for _, metrics in result.best_checkpoints]


@pytest.mark.parametrize(
    ("frequency", "at_end", "expected"),
    [
        (3, False, [3, 6]),
        (3, True, [3, 6, 7]),
        (7, True, [7]),  # both rules: one save
        (1, False, [1, 2, 3, 4, 5, 6, 7]),
        (0, True, [7]),
        (0, False, []),
        (0, None, [7]),  # the default for a class that can save
    ],
)
def test_a_class_is_saved_every_so_often_and_at_its_end(
    tmp_path: Path, frequency: int, at_end: bool | None, expected: list[int]
) -> None:
    result = fit(
        Counting,
        tmp_path,
        {"steps": 7},
        checkpoint_frequency=frequency,
        checkpoint_at_end=at_end,
    )[0]
    assert iterations(result) == expected
    assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in range(len(expected))]
    if expected:
        assert os.path.basename(result.checkpoint.path) == checkpoint_names(result)[-1]
    else:
        assert result.checkpoint is None


@pytest.mark.parametrize("trainable", [CannotSave, reporting])
def test_what_cannot_save_is_not_saved_by_default(tmp_path: Path, trainable: Any) -> None:
    result = fit(trainable, tmp_path)[0]
    assert result.error is None
    assert result.checkpoint is None


def test_run_saves_at_the_end_only_if_asked(tmp_path: Path) -> None:
    options: dict[str, Any] = {"storage_path": tmp_path, "verbose": 0, "executor": "inprocess"}
    assert tune.run(Counting, name="a", **options).trials[0].checkpoint is None
    config = tune.CheckpointConfig(checkpoint_at_end=True)
    saved = tune.run(Counting, name="b", checkpoint_config=config, **options)
    assert saved.trials[0].checkpoint is not None


@pytest.mark.parametrize("options", [{"checkpoint_frequency": 1}, {"checkpoint_at_end": True}])
def test_a_function_makes_its_own_checkpoints(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"report\(metrics, checkpoint=checkpoint\)"):
        make_tuner(reporting, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"checkpoint_frequency": 1}, {"checkpoint_at_end": True}])
def test_a_class_that_cannot_save_is_refused_before_the_run(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="CannotSave cannot save: implement save_checkpoint"):
        make_tuner(CannotSave, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_a_class_may_ask_for_a_checkpoint(tmp_path: Path) -> None:
    class Asks(Counting):
        def step(self) -> dict[str, Any]:
            result = super().step()
            return {**result, "should_checkpoint": self.count % 2 == 0}

    result = fit(Asks, tmp_path, {"steps": 5}, checkpoint_at_end=False)[0]
    assert iterations(result) == [2, 4]


# -- retention ----------------------------------------------------------------------------------


class Scored(Counting):
    """Reports the scores in its config, one per step."""

    def step(self) -> dict[str, Any]:
        result = super().step()
        score = self.config["scores"][self.count - 1]
        given = {} if score is None else {"score": score, "deep": {"score": score}}
        return {**result, **given, "done": self.count == len(self.config["scores"])}


NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "options", "on_disk", "best"),
    [
        ([1, 1, 1, 1], {"num_to_keep": 1}, [3], [3]),
        ([1, 1, 1, 1], {"num_to_keep": 2}, [2, 3], [2, 3]),
        ([1, 1, 1], {"num_to_keep": 5}, [0, 1, 2], [0, 1, 2]),
        ([5, 4, 3, 2], {"num_to_keep": 2, "by": "score"}, [0, 1, 3], [1, 0]),
        ([2, 3, 4, 5], {"num_to_keep": 2, "by": "score"}, [2, 3], [2, 3]),
        ([5, 4, 3, 2], {"num_to_keep": 2, "by": "score", "order": "min"}, [2, 3], [2, 3]),
        ([2, 3, 4, 5], {"num_to_keep": 1, "by": "score", "order": "min"}, [0, 3], [0]),
        ([5, 4, 3, 2], {"num_to_keep": 2, "by": "deep/score"}, [0, 1, 3], [1, 0]),
        ([5, NAN, 3, 4], {"num_to_keep": 2, "by": "score"}, [0, 3], [3, 0]),
        ([5, NAN, 3, 4], {"num_to_keep": 2, "by": "score", "order": "min"}, [2, 3], [3, 2]),
        ([5, None, 3, 4], {"num_to_keep": 2, "by": "score"}, [0, 3], [3, 0]),
        ([5, None, 3, 4], {"num_to_keep": 2, "by": "score", "order": "min"}, [2, 3], [3, 2]),
    ],
)
def test_the_best_and_the_newest_checkpoints_stay_on_disk(
    tmp_path: Path, scores: list[Any], options: dict[str, Any], on_disk: Any, best: Any
) -> None:
    result = fit(
        Scored,
        tmp_path,
        {"scores": scores},
        checkpoint_frequency=1,
        checkpoint_at_end=False,
        num_to_keep=options["num_to_keep"],
        checkpoint_score_attribute=options.get("by"),
        checkpoint_score_order=options.get("order", "max"),
    )[0]
    assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in on_disk]
    kept = [os.path.basename(checkpoint.path) for checkpoint, _ in result.best_checkpoints]
    assert kept == [f"checkpoint_{n:06d}" for n in best]
    assert os.path.basename(result.checkpoint.path) == f"checkpoint_{len(scores) - 1:06d}"


# -- functions ----------------------------------------------------------------------------------


def test_a_function_reports_checkpoints_with_results(tmp_path: Path) -> None:
    recorder = Recorder()
    result = fit(reporting_checkpoints, tmp_path, executor=processes(1), callbacks=[recorder])[0]
    assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in range(3)]
    assert [row["checkpoint_dir_name"] for row in rows(result)] == checkpoint_names(result)
    assert [row["should_checkpoint"] for row in rows(result)] == [True] * 3
    assert Path(result.checkpoint.path, "step").read_text() == "3"
    assert [call for call in recorder.calls if call[0] == "checkpoint"] == [
        ("checkpoint", 0, name) for name in checkpoint_names(result)
    ]
    assert Path(result.path, "made_1", "step").exists(), "the user's directory is left alone"


def test_retention_holds_for_functions(tmp_path: Path) -> None:
    result = fit(
        reporting_checkpoints,
        tmp_path,
        {"steps": 4, "scores": [5, 4, 3, 2]},
        num_to_keep=2,
        checkpoint_score_attribute="score",
    )[0]
    assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in (0, 1, 3)]
    best = result.get_best_checkpoint("score", "max")
    assert os.path.basename(best.path) == "checkpoint_000000"


def test_numbering_goes_on_after_a_failure(tmp_path: Path) -> None:
    config = {"steps": 4, "fail_at": 3, "once": str(tmp_path / "once")}
    result = fit(reporting_checkpoints, tmp_path, config, max_failures=1)[0]
    assert checkpoint_names(result) == [f"checkpoint_{n:06d}" for n in range(4)]
    assert [row["iterations_since_restore"] for row in rows(result)] == [1, 2, 1, 2]


@pytest.mark.parametrize("trainable", [Counting, reporting_checkpoints])
def test_a_paused_trial_goes_on_from_where_it_was(tmp_path: Path, trainable: Any) -> None:
    recorder = Recorder()
    grid = fit(trainable, tmp_path, scheduler=PauseAlways(), num_samples=2, callbacks=[recorder])
    for result in grid:
        assert result.error is None
        assert [row["training_iteration"] for row in rows(result)] == [1, 2, 3]
        assert [row["iterations_since_restore"] for row in rows(result)] == [1, 1, 1]
    hooks = [call[0] for call in recorder.calls if call[1] == 0]
    assert hooks.count("start") >= 3
    assert hooks.count("restore") == hooks.count("start") - 1


# -- starting from a checkpoint -----------------------------------------------------------------


def test_all_trials_start_from_the_checkpoint_of_restore(tmp_path: Path) -> None:
    first = fit(reporting_checkpoints, tmp_path, {"steps": 2}, name="first")[0]
    analysis = tune.run(
        reporting_checkpoints,
        name="second",
        storage_path=tmp_path,
        config={"steps": 4},
        num_samples=2,
        restore=first.checkpoint.path,
        verbose=0,
        executor="inprocess",
    )
    for trial in analysis.trials:
        lines = rows(trial)
        assert [line["step"] for line in lines] == [3, 4]
        assert [line["training_iteration"] for line in lines] == [1, 2]


def test_a_class_starts_from_the_checkpoint_of_restore(tmp_path: Path) -> None:
    first = fit(Counting, tmp_path, {"steps": 2}, name="first")[0]
    analysis = tune.run(
        Counting,
        name="second",
        storage_path=tmp_path,
        config={"steps": 4},
        restore=first.checkpoint.path,
        verbose=0,
        executor="inprocess",
    )
    assert [line["count"] for line in rows(analysis.trials[0])] == [3, 4]


def test_restore_of_nothing_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"restore must be the directory of a checkpoint.*gone"):
        tune.run(Counting, storage_path=tmp_path, restore=tmp_path / "gone", verbose=0)
    assert list(tmp_path.iterdir()) == []


def test_a_reported_checkpoint_without_a_directory_fails_in_the_report(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"a": 1}, checkpoint=Checkpoint.from_directory("gone"))

    assert isinstance(fit(train, tmp_path)[0].error, FileNotFoundError)
