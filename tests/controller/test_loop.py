"""The loop around the state machine: what it does when nothing happens, or when the run ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.controller.settings import RunSettings
from localtune.controller.state import ControllerState
from localtune.error import TuneError
from localtune.execution.executor import Capacity
from localtune.resources import resource_dict_to_pg_factory
from localtune.schedulers import FIFOScheduler
from localtune.search import BasicVariantGenerator
from localtune.stopper import NoopStopper
from localtune.testing import ManualClock
from tests.runs import Counting, fit, processes, statuses


def test_a_searcher_that_waits_is_nothing_to_be_busy_with() -> None:
    searcher = BasicVariantGenerator(max_concurrent=1)
    searcher.setup({}, 3)
    state = ControllerState(
        RunSettings(
            trainable_name="trainable",
            experiment_path="/nowhere",
            resources_of=lambda config: resource_dict_to_pg_factory({"cpu": 1}),
        ),
        searcher,
        FIFOScheduler(),
        NoopStopper(),
        Capacity({"CPU": 2}),
        ManualClock(),
    )
    assert state.has_work
    state.advance()
    assert len(state.trials) == 1
    assert not state.has_work


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_the_limit_of_a_searcher_holds_and_all_its_trials_run(
    tmp_path: Path, executor: str
) -> None:
    grid = fit(
        Counting,
        tmp_path,
        num_samples=4,
        search_alg=BasicVariantGenerator(max_concurrent=1),
        executor=executor if executor == "inprocess" else processes(2),
    )
    assert statuses(grid) == ["TERMINATED"] * 4


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
@pytest.mark.parametrize("hook", ["on_trial_complete", "on_trial_result", "on_checkpoint"])
def test_no_worker_starts_after_what_ended_the_run(
    tmp_path: Path, executor: str, hook: str
) -> None:
    class Broken(tune.Callback):
        started = 0

        def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
            self.started += 1

    def strike(**arguments: Any) -> None:
        raise RuntimeError("enough")

    callback = Broken()
    setattr(callback, hook, strike)
    with pytest.raises(TuneError, match="enough"):
        fit(
            Counting,
            tmp_path,
            num_samples=9,
            max_concurrent_trials=1,
            reuse_actors=True,
            checkpoint_frequency=1,
            callbacks=[callback],
            executor=executor if executor == "inprocess" else processes(1),
        )
    assert callback.started == 1
