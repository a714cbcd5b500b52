"""TuneConfig, and the checks of what it holds before a run."""

from __future__ import annotations

import dataclasses
import datetime
import math
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import FIFOScheduler
from tests.small_runs import make_tuner, reporting


def test_the_fields_and_their_defaults() -> None:
    config = tune.TuneConfig()
    assert {field.name: getattr(config, field.name) for field in dataclasses.fields(config)} == {
        "mode": None,
        "metric": None,
        "search_alg": None,
        "scheduler": None,
        "num_samples": 1,
        "max_concurrent_trials": None,
        "time_budget_s": None,
        "reuse_actors": False,
        "trial_name_creator": None,
        "trial_dirname_creator": None,
        "seed": None,
    }
    assert tune.TuneConfig("max").mode == "max", "mode is the first positional field"


BAD_FIELDS = [
    ("mode", "maximum", "mode must be 'min' or 'max', but got 'maximum'"),
    ("mode", "MAX", "mode must be 'min' or 'max'"),
    ("metric", ["loss"], r"metric must be the name of a metric, but got \['loss'\]"),
    ("num_samples", 0, r"num_samples must be -1 \(no end\) or at least 1, but got 0"),
    ("num_samples", -2, "num_samples must be .* but got -2"),
    ("num_samples", 1.5, "num_samples must be .* but got 1.5"),
    ("num_samples", "3", "num_samples must be .* but got '3'"),
    ("num_samples", True, "num_samples must be .* but got True"),
    ("num_samples", None, "num_samples must be .* but got None"),
    ("max_concurrent_trials", -1, "max_concurrent_trials must be at least 1, .* but got -1"),
    ("max_concurrent_trials", 0.5, "max_concurrent_trials must be .* but got 0.5"),
    ("max_concurrent_trials", "2", "max_concurrent_trials must be .* but got '2'"),
    ("time_budget_s", -1, "time_budget_s must be a number of seconds .* but got -1"),
    ("time_budget_s", math.nan, "time_budget_s must be .* but got nan"),
    ("time_budget_s", "1h", "time_budget_s must be .* but got '1h'"),
    ("time_budget_s", datetime.timedelta(seconds=-1), "time_budget_s must be .* but got -1.0"),
    ("seed", "x", "seed must be a whole number, or None to draw one, but got 'x'"),
    ("seed", 1.5, "seed must be a whole number"),
    ("search_alg", object(), "search_alg must be None, a name, a Searcher"),
    ("search_alg", "randm", "randm"),
    ("scheduler", object(), "scheduler must be None, a name, or a TrialScheduler"),
    ("scheduler", FIFOScheduler, "Pass an instance, not the class"),
    ("scheduler", "fivo", "fivo"),
]


@pytest.mark.parametrize(("field", "value", "problem"), BAD_FIELDS)
def test_a_bad_value_is_told_when_the_tuner_is_made(
    tmp_path: Path, field: str, value: Any, problem: str
) -> None:
    for name in ("run", None):
        with pytest.raises(ValueError, match=problem):
            make_tuner(reporting, tmp_path, name=name, **{field: value})
    assert list(tmp_path.iterdir()) == [], "nothing is written"


@pytest.mark.parametrize(("field", "value", "problem"), BAD_FIELDS)
def test_run_refuses_the_same_values(tmp_path: Path, field: str, value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tune.run(reporting, storage_path=tmp_path, **{field: value})
    assert list(tmp_path.iterdir()) == []


def test_the_working_directory_is_no_part_of_the_config() -> None:
    with pytest.raises(DeprecationWarning, match="RAY_CHDIR_TO_TRIAL_DIR"):
        tune.TuneConfig(chdir_to_trial_dir=False)
    assert "chdir_to_trial_dir" not in dataclasses.asdict(tune.TuneConfig())
