"""Checks that several configs share."""

from __future__ import annotations

from typing import Any, TypeVar

Config = TypeVar("Config")


def config_of(kind: type[Config], name: str, given: Any) -> Config:
    """Returns a config, the default one in place of None.

    Args:
        kind: Class of the config.
        name: Name of the argument, for the error.
        given: The config, or None.

    Raises:
        ValueError: for an object of another class.
    """
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise ValueError(
            f"{name} must be a {kind.__name__}, but got {given!r}. "
            f"Pass {name}={kind.__name__}(...)."
        )
    return given


def is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_metric_and_mode(metric: Any, mode: Any) -> None:
    """Checks the arguments ``metric`` and ``mode``, each of which may be None.

    Args:
        metric: Name of a metric.
        mode: ``"min"`` or ``"max"``.

    Raises:
        ValueError: for another mode, or a metric that is no text.
    """
    if mode is not None and mode not in ("min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}.")
    if metric is not None and not isinstance(metric, str):
        raise ValueError(f"metric must be the name of a metric, but got {metric!r}.")


def check_num_samples(num_samples: Any) -> None:
    """Checks the argument ``num_samples``.

    Raises:
        ValueError: if it is neither -1 nor a positive whole number.
    """
    is_number = isinstance(num_samples, int) and not isinstance(num_samples, bool)
    if not is_number or (num_samples < 1 and num_samples != -1):
        raise ValueError(f"num_samples must be -1 (no end) or at least 1, but got {num_samples!r}.")
