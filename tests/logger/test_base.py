from __future__ import annotations

from pathlib import Path
from typing import Any

from localtune.callback import CallbackList
from localtune.logger import LoggerCallback
from localtune.trial.trial import Trial
from tests.logger.recorder import Recorder
from tests.records import make_trial


class Protocol(LoggerCallback):
    """Records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def log_trial_start(self, trial: Trial) -> None:
        self.calls.append("start")

    def log_trial_restore(self, trial: Trial) -> None:
        self.calls.append("restore")

    def log_trial_save(self, trial: Trial) -> None:
        self.calls.append("save")

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self.calls.append(("result", iteration, result["loss"]))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self.calls.append(("end", failed))


def test_hooks_of_a_trial_that_ends_well(tmp_path: Path) -> None:
    protocol, trial = Protocol(), make_trial(tmp_path)
    recorder = Recorder([protocol])

    recorder.start(trial)
    recorder.report(trial, loss=1.5)
    recorder.save(trial)
    recorder.complete(trial)

    assert protocol.calls == ["start", ("result", 0, 1.5), "save", ("end", False)]


def test_hooks_of_a_trial_that_fails(tmp_path: Path) -> None:
    protocol, trial = Protocol(), make_trial(tmp_path)
    recorder = Recorder([protocol])

    recorder.start(trial)
    recorder.fail(trial)

    assert protocol.calls == ["start", ("end", True)]


def test_a_trial_that_will_be_retried_has_not_ended(tmp_path: Path) -> None:
    protocol, trial = Protocol(), make_trial(tmp_path)
    recorder = Recorder([protocol])

    recorder.start(trial)
    recorder.recover(trial)
    recorder.start(trial)

    assert protocol.calls == ["start", "start"]


def test_restore_is_logged(tmp_path: Path) -> None:
    protocol, trial = Protocol(), make_trial(tmp_path)

    CallbackList([protocol]).call("on_trial_restore", iteration=0, trials=[trial], trial=trial)

    assert protocol.calls == ["restore"]


def test_a_logger_need_not_override_all_methods(tmp_path: Path) -> None:
    trial = make_trial(tmp_path)
    recorder = Recorder([LoggerCallback()])

    recorder.start(trial)
    recorder.report(trial, loss=1)
    recorder.save(trial)
    recorder.complete(trial)
    recorder.end()

    assert list(Path(trial.path).iterdir()) == []
