"""The loggers of the first interface, made by hand, and by a trainable that runs alone."""

from __future__ import annotations

import json
import sys
from csv import DictReader
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from localtune.logger import (
    CSVLogger,
    JsonLogger,
    Logger,
    NoopLogger,
    TBXLogger,
    UnifiedLogger,
    unified,
)
from tests.records import make_trial
from tests.small_runs import Counting

CONFIG = {"lr": 0.1, "activation": max}


def rows(logdir: Path) -> list[dict[str, str]]:
    with open(logdir / "progress.csv", newline="", encoding="utf-8") as file:
        return list(DictReader(file))


def results(logdir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (logdir / "result.json").read_text().splitlines()]


def losses(logdir: Path) -> list[float]:
    events = EventAccumulator(str(logdir))
    events.Reload()
    return [round(each.value, 3) for each in events.Scalars("ray/tune/loss")]


def log(logger: Logger, *metrics: dict[str, Any]) -> None:
    for number, each in enumerate(metrics, 1):
        logger.on_result({**each, "training_iteration": number, "config": CONFIG})
    logger.flush()
    logger.close()


def test_a_trainable_writes_into_the_directory_of_its_logger(tmp_path: Path) -> None:
    def in_directory(name: str) -> Any:
        return lambda config: UnifiedLogger(config, str(tmp_path / name))

    trainable = Counting({"steps": 9}, logger_creator=in_directory("first"))
    assert trainable.logdir == str(tmp_path / "first")
    trainable.train()
    trainable.train()
    assert trainable.reset({"steps": 8}, logger_creator=in_directory("second"))
    assert trainable.logdir == str(tmp_path / "second")
    trainable.train()
    trainable.stop()

    found = {}
    for each in ("first", "second"):
        counts = [row["count"] for row in rows(tmp_path / each)]
        assert [str(result["count"]) for result in results(tmp_path / each)] == counts
        assert losses(tmp_path / each) == [1.0, 0.5][: len(counts)]
        found[each] = (json.loads((tmp_path / each / "params.json").read_text()), counts)
    assert found == {"first": ({"steps": 9}, ["1", "2"]), "second": ({"steps": 8}, ["1"])}


def test_files_that_are_there_are_continued(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for loss in (1, 2):
        for cls in (JsonLogger, CSVLogger):
            extra = {"late": 3} if loss == 2 else {}
            log(cls(CONFIG, str(tmp_path)), {"loss": loss, "eval": {"acc": loss}, **extra})

    assert [result["loss"] for result in results(tmp_path)] == [1, 2]
    assert results(tmp_path)[1]["late"] == 3
    assert rows(tmp_path) == [
        {"loss": str(loss), "eval/acc": str(loss), "training_iteration": "1"} for loss in (1, 2)
    ]
    assert cloudpickle.loads((tmp_path / "params.pkl").read_bytes()) == CONFIG
    noted = "".join(record.getMessage() for record in caplog.records) + capfd.readouterr().err
    assert noted.count("has no column for 'late'") >= 1


def test_loggers_are_chosen_by_their_classes(tmp_path: Path) -> None:
    log(UnifiedLogger(CONFIG, str(tmp_path), loggers=[NoopLogger, CSVLogger]), {"loss": 1})

    assert [path.name for path in tmp_path.iterdir()] == ["progress.csv"]


def test_the_default_loggers_depend_on_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (JsonLogger, CSVLogger, TBXLogger) == unified.DEFAULT_LOGGERS
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert (JsonLogger, CSVLogger) == unified.DEFAULT_LOGGERS
    assert not hasattr(unified, "NO_LOGGERS")


def test_a_logger_that_logs_nothing_makes_nothing(tmp_path: Path) -> None:
    logger = NoopLogger(CONFIG, str(tmp_path / "none"))
    log(logger, {"loss": 1})

    assert logger.logdir == str(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_the_parameters_of_a_trial(tmp_path: Path) -> None:
    trial = make_trial(tmp_path, evaluated_params={"lr": 0.1})
    log(TBXLogger(trial.config, str(tmp_path / "logs"), trial), {"loss": 0.25})

    assert losses(tmp_path / "logs") == [0.25]
    (file,) = (tmp_path / "logs").iterdir()
    assert b"_hparams_" in file.read_bytes()
