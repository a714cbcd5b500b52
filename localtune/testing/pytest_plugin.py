"""The pytest fixture ``localtune_check``, which checks that a trainable is ready for a sweep.

pytest loads this module at its start in every project that has localtune installed. Therefore the
module imports nothing of localtune before a test uses the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localtune.tools.check import CheckReport


@pytest.fixture
def localtune_check() -> Callable[..., CheckReport]:
    """Returns a function that checks a trainable, and fails the test if a check fails.

    Its arguments and its result are those of :func:`localtune.tools.check.check_trainable`.

    Example::

        def test_my_trainable(localtune_check):
            localtune_check(MyTrainable, {"lr": 0.1}, metric="loss")
    """
    return _check


def _check(
    trainable: Any,
    config: Mapping[str, Any] | None = None,
    *,
    metric: str | None = None,
    timeout_s: float | None = None,
) -> CheckReport:
    from localtune.tools.check import check_trainable
    from localtune.tools.check.check import DEFAULT_TIMEOUT_S

    limit_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
    report = check_trainable(trainable, config, metric=metric, timeout_s=limit_s)
    if not report.ok:
        raise AssertionError(str(report))
    return report
