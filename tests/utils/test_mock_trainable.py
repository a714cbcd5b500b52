from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune import registry
from localtune.utils.mock_trainable import (
    MOCK_ERROR_KEY,
    MOCK_TRAINABLE_NAME,
    MyTrainableClass,
    register_mock_trainable,
)
from tests.small_runs import fit


def test_it_runs_by_its_name_and_fails_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_trainables", {})
    register_mock_trainable()

    space: dict[str, Any] = {MOCK_ERROR_KEY: tune.grid_search([False, True])}
    good, bad = fit(MOCK_TRAINABLE_NAME, tmp_path, space, stop={"training_iteration": 2})

    assert good.metrics["training_iteration"] == 2 and "episode_reward_mean" in good.metrics
    assert isinstance(bad.error, RuntimeError) and MOCK_ERROR_KEY in str(bad.error)


def test_its_state_is_in_its_checkpoints() -> None:
    assert tune.utils.validate_save_restore(MyTrainableClass)
