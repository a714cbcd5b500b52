"""The pytest fixture ``localtune_check``, and the option ``--localtune-compat``.

The fixture checks that a trainable is ready for a sweep. With the option, ``ray`` is localtune in
the tests, as under ``python -m localtune.compat``.

pytest loads this module at its start in every project that has localtune installed. Therefore the
module imports nothing of localtune before a test uses the fixture, or the option is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localtune.tools.check import CheckReport

_OPTION = "localtune_compat"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option ``--localtune-compat``, and a setting of the same name.

    Args:
        parser: pytest's parser.
    """
    text = "let ray, ray.tune, ray.train and ray.air be localtune in the tests"
    group = parser.getgroup("localtune")
    group.addoption("--localtune-compat", action="store_true", default=False, help=text)
    parser.addini(_OPTION, type="bool", default=False, help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Installs the stand-in for Ray, before any file of the project is imported.

    Args:
        early_config: pytest's configuration, as far as it is known now.
    """
    if early_config.known_args_namespace.localtune_compat or early_config.getini(_OPTION):
        from localtune.compat import install

        try:
            install()
        except ImportError as error:
            raise pytest.UsageError(str(error)) from None


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
