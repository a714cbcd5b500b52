from __future__ import annotations

from typing import Any

import pytest

from localtune.search.warm_start import validate_warmstart

NAMES = ["lr", "width"]
POINT = {"lr": 0.1, "width": 64}


@pytest.mark.parametrize(
    ("points", "rewards", "checks_names"),
    [
        (None, None, True),
        ([], [], True),
        ([POINT, [0.2, 32]], [0.5, 0.6], True),
        ([{"lr": 0.1}], None, False),
    ],
)
def test_what_fits_is_accepted(points: Any, rewards: Any, checks_names: bool) -> None:
    validate_warmstart(NAMES, points, rewards, checks_names)


@pytest.mark.parametrize(
    ("points", "rewards", "error", "message"),
    [
        (POINT, None, TypeError, "points_to_evaluate must be a list, but got dict"),
        (["lr"], None, TypeError, "must hold dicts or lists of values, but has str: 'lr'"),
        ([{"lr": 0.1}], None, ValueError, r"a value for each of \['lr', 'width'\], but got"),
        ([POINT], 0.5, TypeError, "evaluated_rewards must be a list, but got float: 0.5"),
        ([POINT], [0.5, 0.6], ValueError, "2 values for 1 points"),
        (None, [0.5], ValueError, "1 values for 0 points"),
    ],
)
def test_what_does_not_fit_is_refused(
    points: Any, rewards: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        validate_warmstart(NAMES, points, rewards)
