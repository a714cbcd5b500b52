from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localtune.logger import LegacyLoggerCallback, Logger
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial


class Noting(Logger):
    """Records its calls."""

    notes: list[Any]

    def _init(self) -> None:
        self.notes.append(("made", self.config, self.logdir, self.trial))

    def on_result(self, result: dict[str, Any]) -> None:
        self.notes.append(("result", result["loss"]))

    def flush(self) -> None:
        self.notes.append("flush")

    def close(self) -> None:
        self.notes.append("close")


def new_class() -> type[Noting]:
    return type("NotingOnce", (Noting,), {"notes": []})


def made(trial: Trial) -> Any:
    return ("made", trial.config, trial.path, trial)


def test_each_trial_has_a_logger_of_each_class(tmp_path: Path) -> None:
    one, other = new_class(), new_class()
    recorder = Recorder([LegacyLoggerCallback([one, other])])
    trial = make_trial(tmp_path, config={"lr": 1})

    recorder.start(trial)
    recorder.report(trial, loss=0.5)
    recorder.save(trial)
    recorder.complete(trial)
    recorder.end()

    assert one.notes == other.notes == [made(trial), ("result", 0.5), "flush", "close"]


def test_a_trial_that_starts_again_gets_a_new_logger(tmp_path: Path) -> None:
    cls = new_class()
    recorder = Recorder([LegacyLoggerCallback([cls])])
    trial = make_trial(tmp_path)

    recorder.start(trial)
    recorder.pause(trial)
    recorder.start(trial)
    recorder.fail(trial)
    recorder.end()

    assert cls.notes == [made(trial), "close", made(trial), "close"]


def test_the_loggers_of_unfinished_trials_are_closed_at_the_end(tmp_path: Path) -> None:
    cls = new_class()
    recorder = Recorder([LegacyLoggerCallback([cls])])
    trials = [make_trial(tmp_path, number) for number in range(2)]
    for trial in trials:
        recorder.start(trial)

    recorder.end()

    assert cls.notes == [made(trials[0]), made(trials[1]), "close", "close"]


def test_a_logger_in_place_of_its_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="logger_classes must hold classes"):
        LegacyLoggerCallback([new_class()({}, str(tmp_path))])  # type: ignore[list-item]


def test_a_logger_must_take_results(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="Logger must implement on_result"):
        Logger({}, str(tmp_path)).on_result({})
