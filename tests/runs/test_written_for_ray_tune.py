"""Schedulers as users wrote them for Ray Tune: only the imports are other ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import localtune as tune
from localtune.experiment import Trial
from localtune.schedulers import FIFOScheduler, TrialScheduler
from tests.small_runs import fit, processes, statuses


class HalfTime(TrialScheduler):
    """Trials pause at their second result; at its fourth, one lets all others go on."""

    def __init__(self, metric: Any = None, mode: Any = None) -> None:
        self._metric = metric
        self._mode = mode
        self._counts: dict[Trial, int] = {}

    def set_search_properties(self, metric: Any, mode: Any, **spec: Any) -> bool:
        if self._metric and metric:
            return False
        self._metric = metric
        self._mode = mode
        return True

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        assert self._metric and self._mode
        self._counts[trial] = 0

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._counts.pop(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        assert result["config/x"] == trial.config["x"]
        self._counts[trial] += 1
        if self._counts[trial] == 2:
            others = [
                each
                for each in tune_controller.get_trials()
                if each.status in (Trial.PENDING, Trial.PAUSED)
            ]
            tune_controller._schedule_trial_save(trial, result=result)
            if others:
                tune_controller.pause_trial(trial, should_checkpoint=True)
                return self.NOOP
        if self._counts[trial] == 4:
            for each in tune_controller.get_live_trials():
                if each.status == Trial.PAUSED:
                    tune_controller._set_trial_status(each, Trial.PENDING)
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        assert trial.is_finished() and trial.last_result["score"] == result["score"]
        del self._counts[trial]

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._counts.pop(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        for status in (Trial.PENDING, Trial.PAUSED):
            for trial in tune_controller.get_trials():
                if trial.status == status:
                    return trial  # type: ignore[no-any-return]
        return None

    def debug_string(self) -> str:
        return f"HalfTime: {len(self._counts)} trials"


class StopsBelow(FIFOScheduler):
    """Stops others, too."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        for other in list(tune_controller.get_live_trials()):
            if other.config["x"] < trial.config["x"] and other.status != Trial.RUNNING:
                tune_controller.stop_trial(other)
        return self.CONTINUE


class Scored(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"score": self.count * self.config["x"], "done": self.count >= 6}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]


def test_all_hooks_and_requests(tmp_path: Path) -> None:
    grid = fit(
        Scored,
        tmp_path,
        {"x": tune.grid_search([1, 2, 3, 4])},
        metric="score",
        mode="max",
        scheduler=HalfTime(),
        executor=processes(2),
    )
    assert statuses(grid) == ["TERMINATED"] * 4
    assert [result.metrics["score"] for result in grid] == [6, 12, 18, 24]


def test_a_scheduler_may_stop_trials_that_have_not_started(tmp_path: Path) -> None:
    grid = fit(
        Scored,
        tmp_path,
        {"x": tune.grid_search([4, 3, 2, 1])},
        scheduler=StopsBelow(),
        executor=processes(1),
    )
    assert statuses(grid) == ["TERMINATED"] * 4
    assert [len(result.metrics or {}) > 0 for result in grid] == [True, False, False, False]


def test_its_state_is_saved_and_restored(tmp_path: Path) -> None:
    scheduler, other = HalfTime("score", "max"), HalfTime()
    scheduler.save(str(tmp_path / "state"))
    other.restore(str(tmp_path / "state"))
    assert other.metric == "score"
