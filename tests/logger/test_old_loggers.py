"""Loggers of the first interface in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.logger import (
    CSVLogger,
    CSVLoggerCallback,
    JsonLogger,
    LegacyLoggerCallback,
    Logger,
    NoopLogger,
    TBXLogger,
    TBXLoggerCallback,
    UnifiedLogger,
)
from localtune.logger.old_loggers import with_loggers_of_today
from tests.small_runs import make_tuner, reporting


class Note(Logger):
    def on_result(self, result: dict[str, Any]) -> None:
        with open(Path(self.logdir, "notes"), "a", encoding="utf-8") as file:
            file.write(f"{result['training_iteration']}\n")


class Shout(CSVLogger):
    """Writes other rows into the same file."""

    def on_result(self, result: dict[str, Any]) -> None:
        super().on_result({"SCORE": result["training_iteration"]})


def run_with(storage_path: Path, *classes: type[Logger]) -> Path:
    callback = LegacyLoggerCallback(classes)
    (result,) = make_tuner(reporting, storage_path, {"steps": 3}, callbacks=[callback]).fit()
    assert isinstance(result, tune.Result) and result.path is not None
    return Path(result.path)


def test_each_result_is_in_each_file_once(tmp_path: Path) -> None:
    trial_dir = run_with(tmp_path, UnifiedLogger, CSVLogger, JsonLogger, NoopLogger, Note)

    numbers = [1, 2, 3]
    lines = (trial_dir / "result.json").read_text().splitlines()
    assert [json.loads(line)["training_iteration"] for line in lines] == numbers
    assert len((trial_dir / "progress.csv").read_text().splitlines()) == 1 + len(numbers)
    assert (trial_dir / "notes").read_text().split() == ["1", "2", "3"]
    assert (trial_dir / "events.out.tfevents.localtune").exists()


def test_a_file_of_a_derived_logger_has_no_other_writer(tmp_path: Path) -> None:
    trial_dir = run_with(tmp_path, Shout)

    assert (trial_dir / "progress.csv").read_text().split() == ["SCORE", "1", "2", "3"]
    assert len((trial_dir / "result.json").read_text().splitlines()) == 3


def test_a_logger_that_the_user_passed_stays_the_only_one() -> None:
    own = CSVLoggerCallback()
    old = LegacyLoggerCallback([CSVLogger, TBXLogger])

    first, second, third = with_loggers_of_today([own, old])

    assert first is own and isinstance(third, TBXLoggerCallback)
    assert isinstance(second, LegacyLoggerCallback) and second.logger_classes == []
    assert old.logger_classes == [CSVLogger, TBXLogger]
