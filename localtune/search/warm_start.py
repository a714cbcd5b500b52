"""validate_warmstart: checks what a searcher is told before its first suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def validate_warmstart(
    parameter_names: Sequence[str],
    points_to_evaluate: Any,
    evaluated_rewards: Any,
    validate_point_name_lengths: bool = True,
) -> None:
    """Checks configurations to try first, and their known values.

    Args:
        parameter_names: Names of all parameters.
        points_to_evaluate: A list of configurations, each a dict, or a list of values in the order
            of the parameters; None for none.
        evaluated_rewards: A list with the value of each of these configurations; None if they are
            not known.
        validate_point_name_lengths: Whether each configuration must have a value for each
            parameter.

    Raises:
        TypeError: if one of the lists is no list, or a configuration is neither dict nor list.
        ValueError: if lengths do not fit.

    Example:
        >>> validate_warmstart(["lr", "width"], [{"lr": 0.1, "width": 64}], [0.93])
    """
    if points_to_evaluate:
        _check_list("points_to_evaluate", points_to_evaluate)
        for point in points_to_evaluate:
            if not isinstance(point, (dict, list)):
                raise TypeError(
                    "points_to_evaluate must hold dicts or lists of values, but has "
                    f"{type(point).__name__}: {point!r}."
                )
            if validate_point_name_lengths and len(point) != len(parameter_names):
                raise ValueError(
                    f"Each of points_to_evaluate must have a value for each of "
                    f"{list(parameter_names)!r}, but got {point!r}."
                )
    if evaluated_rewards:
        _check_list("evaluated_rewards", evaluated_rewards)
        count = len(points_to_evaluate or ())
        if len(evaluated_rewards) != count:
            raise ValueError(
                "evaluated_rewards must have a value for each of points_to_evaluate, but there "
                f"are {len(evaluated_rewards)} values for {count} points."
            )


def _check_list(name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise TypeError(f"{name} must be a list, but got {type(value).__name__}: {value!r}.")
