"""Computes how much of the metric one parameter alone explains.

The measure is epsilon squared of the Kruskal-Wallis test: trials are ranked by the metric and put
into groups of (nearly) equal values of the parameter; the share of the ranks' variance that lies
between the groups, less what chance would give, is the parameter's importance.

    eta^2     = between-group sum of squares of the ranks / total sum of squares
    epsilon^2 = 1 - (1 - eta^2) (n - 1) / (n - k)        n trials, k groups; at least 0

Sources: T. L. Kelley, "An unbiased correlation ratio measure", PNAS 21 (1935), 554-559;
W. H. Kruskal, W. A. Wallis, "Use of ranks in one-criterion variance analysis", JASA 47 (1952),
583-621. Ranks make it independent of the metric's scale, and groups find an optimum in the middle
of a range, which a correlation does not. It sees each parameter alone: no interactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localtune.tools.report.params import Parameter

# With fewer trials, a seeming importance is mostly chance.
MIN_TRIALS = 10
_MAX_GROUPS = 5
_MIN_GROUP = 4


@dataclass(frozen=True)
class Importance:
    """The importance of one parameter.

    Attributes:
        name: Flat name of the parameter.
        share: From 0 (nothing) to 1 (all of it).
        trend: Rank correlation (Spearman) of a number with the metric, from -1 to 1; None for
            categories.
    """

    name: str
    share: float
    trend: float | None


def importances(
    parameters: Sequence[Parameter], values: Sequence[float | None]
) -> list[Importance]:
    """Computes the importance of each parameter; returns the largest first.

    Args:
        parameters: With their values in each trial.
        values: The metric in each trial, None where there is none.

    Returns:
        Nothing if fewer than ``MIN_TRIALS`` trials have a value, or all have the same.
    """
    found = []
    for parameter in parameters:
        pairs = [
            (setting, value)
            for setting, value in zip(parameter.values, values, strict=True)
            if setting is not None and value is not None
        ]
        if len(pairs) < MIN_TRIALS or len({value for _, value in pairs}) < 2:
            continue
        ranks = ranks_of([value for _, value in pairs])
        groups = _groups([setting for setting, _ in pairs], ranks, parameter.is_number)
        trend = None
        if parameter.is_number:
            trend = _correlation(ranks_of([float(setting) for setting, _ in pairs]), ranks)
        found.append(Importance(parameter.name, epsilon_squared(groups), trend))
    return sorted(found, key=lambda each: -each.share)


def ranks_of(values: Sequence[float]) -> list[float]:
    """Returns ranks from 1; equal values share the mean of their ranks.

    Example:
        >>> ranks_of([0.5, 0.1, 0.5])
        [2.5, 1.0, 2.5]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks


def epsilon_squared(groups: Sequence[Sequence[float]]) -> float:
    """Returns the share of variance between groups, corrected for chance; see above.

    Example:
        >>> epsilon_squared([[1, 2, 3], [10, 11, 12]]) > 0.9
        True
    """
    everything = [value for group in groups for value in group]
    mean = sum(everything) / len(everything)
    total = sum((value - mean) ** 2 for value in everything)
    freedom = len(everything) - len(groups)
    if total == 0 or freedom <= 0 or len(groups) < 2:
        return 0.0
    within = sum(
        sum((value - sum(group) / len(group)) ** 2 for value in group) for group in groups if group
    )
    return max(0.0, 1 - within / total * (len(everything) - 1) / freedom)


def _groups(
    settings: Sequence[float | str], ranks: Sequence[float], is_number: bool
) -> list[list[float]]:
    """Groups the ranks by the parameter's value, or by ranges of equal size if it has many."""
    by_value: dict[float | str, list[float]] = {}
    for setting, rank in zip(settings, ranks, strict=True):
        by_value.setdefault(setting, []).append(rank)
    if not is_number or len(by_value) <= _MAX_GROUPS:
        return list(by_value.values())
    number = max(2, min(_MAX_GROUPS, len(settings) // _MIN_GROUP))
    groups: list[list[float]] = [[]]
    taken = 0
    # Equal values stay together.
    for setting in sorted(by_value):
        if taken >= len(settings) * len(groups) / number:
            groups.append([])
        groups[-1] += by_value[setting]
        taken += len(by_value[setting])
    return groups


def _correlation(left: Sequence[float], right: Sequence[float]) -> float:
    mean_left, mean_right = sum(left) / len(left), sum(right) / len(right)
    product = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
    squares = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
    return float(product / squares**0.5) if squares else 0.0
