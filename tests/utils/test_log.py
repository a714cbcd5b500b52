from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.utils import log
from localtune.utils.log import Verbosity, has_verbosity, set_verbosity
from tests.small_runs import fit, reporting


@pytest.fixture(autouse=True)
def own_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sets vanishes with it."""
    monkeypatch.setattr(log, "_level", 1)
    monkeypatch.setattr(log, "_shows_in_notebooks", True)


def test_a_level_includes_those_below() -> None:
    set_verbosity(Verbosity.V2_TRIAL_NORM)
    assert [level for level in Verbosity if has_verbosity(level)] == [0, 1, 2]


@pytest.mark.parametrize("level", [-1, 4, "2", None])
def test_a_level_that_is_none_is_refused(level: Any) -> None:
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 3"):
        set_verbosity(level)


def test_a_run_sets_the_level(tmp_path: Path) -> None:
    levels = []

    class Ask(tune.Callback):
        def on_trial_result(self, *args: Any, **info: Any) -> None:
            levels.append([level.value for level in Verbosity if has_verbosity(level)])

    fit(reporting, tmp_path, {"steps": 1}, verbose=0, callbacks=[Ask()])
    assert levels == [[0]]
