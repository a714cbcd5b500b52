from __future__ import annotations

from typing import Any

import pytest

from localtune.stopper import Stopper


def test_a_stopper_says_when_a_trial_stops() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Stopper()  # type: ignore[abstract]


def test_a_stopper_by_default_stops_no_run_and_has_no_warnings() -> None:
    class Always(Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return True

    assert Always()("t", {})
    assert not Always().stop_all()
    assert Always().missing_key_warnings({}) == []
