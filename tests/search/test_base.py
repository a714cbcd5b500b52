from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localtune.search.base import Searcher, load_snapshot, snapshot
from localtune.trial.status import Status
from localtune.trial.trial import Trial


class Counting(Searcher):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = 0
        self.points: list[tuple[dict[str, Any], float, bool]] = []

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self.count += 1
        return {"x": self.count}

    def add_evaluated_point(
        self, parameters: Any, value: float, error: bool = False, *_: Any, **__: Any
    ) -> None:
        self.points.append((parameters, value, error))


class WithFiles(Searcher):
    """As older searchers do: knows files, and nothing of get_state."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()  # cannot be pickled
        self.count = 0

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self.count += 1
        return {"x": self.count}

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(str(self.count))

    def restore(self, checkpoint_path: str) -> None:
        self.count = int(Path(checkpoint_path).read_text())


def trial(status: Status, result: dict[str, Any]) -> Trial:
    made = Trial("train", trial_id="a", config={"x": 1})
    made.status = status
    made.last_result = result
    return made


@pytest.mark.parametrize(
    ("metric", "mode", "error"),
    [
        ("loss", "down", ValueError),
        ("loss", ["min"], TypeError),
        (["a", "b"], ["min"], ValueError),
        (["a"], ["up"], ValueError),
    ],
)
def test_an_invalid_objective_is_refused(metric: Any, mode: Any, error: type) -> None:
    with pytest.raises(error, match=r"(?i)mode"):
        Counting(metric=metric, mode=mode)


def test_several_metrics_may_be_observed_only() -> None:
    assert Counting(metric=["a", "b"], mode=["min", "obs"]).mode == ["min", "obs"]


def test_the_run_fills_in_the_missing_metric_and_mode_of_the_searcher() -> None:
    searcher = Counting(metric="loss")

    assert searcher.set_search_properties("loss", "min", {"x": 1}, seed=3) is False
    assert (searcher.metric, searcher.mode) == ("loss", "min")


def test_a_metric_that_contradicts_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="'loss' to the run and 'accuracy' to Counting"):
        Counting(metric="accuracy").set_objective("loss", "min")


def test_a_searcher_that_cannot_learn_from_points_raises() -> None:
    with pytest.raises(NotImplementedError, match="WithFiles"):
        WithFiles().add_evaluated_point({"x": 1}, 0.5)


def test_ended_trials_of_an_earlier_run_are_taken_in() -> None:
    searcher = Counting()
    trials = [
        trial(Status.TERMINATED, {"eval": {"loss": 1.0}}),
        trial(Status.ERROR, {"eval": {"loss": 2.0}}),
        trial(Status.RUNNING, {"eval": {"loss": 3.0}}),
        trial(Status.TERMINATED, {}),
    ]

    searcher.add_evaluated_trials(SimpleNamespace(trials=trials), "eval/loss")

    assert searcher.points == [({"x": 1}, 1.0, False), ({"x": 1}, 2.0, True)]


def test_a_single_trial_is_added() -> None:
    searcher = Counting()
    searcher.add_evaluated_trials(trial(Status.TERMINATED, {"loss": 1.0}), "loss")

    assert len(searcher.points) == 1


def test_a_metric_that_no_trial_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lss'.*loss"):
        Counting().add_evaluated_trials([trial(Status.TERMINATED, {"loss": 1.0})], "lss")


@pytest.mark.parametrize("make", [Counting, WithFiles])
def test_a_snapshot_holds_the_state(make: type[Any]) -> None:
    first, second = make(), make()
    first.suggest("a")
    data = snapshot(first)
    first.suggest("b")
    load_snapshot(second, data)

    assert second.suggest("b") == {"x": 2}


@pytest.mark.parametrize("make", [Counting, WithFiles])
def test_a_searcher_is_restored_from_the_latest_file(make: type[Any], tmp_path: Path) -> None:
    first, second = make(), make()
    for count, name in enumerate(("older", "newer"), start=1):
        first.suggest(name)
        first.save_to_dir(str(tmp_path), name)
        os.utime(tmp_path / f"searcher-state-{name}.pkl", (count, count))
    second.restore_from_dir(str(tmp_path))

    assert second.suggest("b") == {"x": 3}
    assert sorted(os.listdir(tmp_path)) == ["searcher-state-newer.pkl", "searcher-state-older.pkl"]


def test_a_directory_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="searcher-state"):
        Counting().restore_from_dir(str(tmp_path))
