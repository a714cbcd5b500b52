"""Rounds: trains an estimator a bit further at a time, so that a scheduler can stop it early.

::

    partial_fit                  each round is a call with all samples
    warm_start + n_estimators    each round fits more members of the ensemble
    warm_start + max_iter        each round goes on for a part of max_iter

Of a pipeline, the last step is trained in rounds; the steps before it are fitted in the first.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

PARTIAL_FIT = "partial_fit"
_RESOURCES = ("n_estimators", "max_iter")


def trained_part(estimator: Any) -> Any:
    """Returns the part of an estimator that is trained in rounds: of a pipeline, the last step."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def way_of(estimator: Any) -> str | None:
    """Returns how an estimator can be trained in rounds.

    Args:
        estimator: An estimator, or a pipeline.

    Returns:
        ``"partial_fit"``, or the name of the parameter that grows with ``warm_start``; None if
        it cannot.
    """
    part = trained_part(estimator)
    if hasattr(part, PARTIAL_FIT):
        return PARTIAL_FIT
    params = part.get_params(deep=False) if isinstance(part, BaseEstimator) else {}
    if "warm_start" not in params:
        return None
    return next((name for name in _RESOURCES if isinstance(params.get(name), int)), None)


def check_rounds(estimator: Any) -> None:
    """Checks that an estimator can be trained in rounds.

    Raises:
        ValueError: if it cannot.
    """
    if way_of(estimator) is None:
        raise ValueError(
            "max_iters needs an estimator with partial_fit, or with warm_start and a whole number "
            f"of n_estimators or max_iter, but {trained_part(estimator)!r} has neither. Leave "
            "max_iters out to train each candidate once by fit."
        )


def check_fit_params(estimator: Any, fit_params: Mapping[str, Any]) -> None:
    """Checks that the arguments of ``fit`` name the step of a pipeline that they are for.

    Args:
        estimator: The estimator.
        fit_params: {name of an argument: value}.

    Raises:
        ValueError: if one names no step.
    """
    if not isinstance(estimator, Pipeline):
        return
    steps = [name for name, _ in estimator.steps]
    for name in fit_params:
        if name.partition("__")[0] not in steps or "__" not in name:
            raise ValueError(
                f"With max_iters, an argument of fit for a pipeline must name its step, as in "
                f"{steps[-1]}__{name.rpartition('__')[2]}, but got {name!r}."
            )


def train_round(
    model: Any,
    number: int,
    iterations: int,
    total: int | None,
    data: tuple[Any, ...],
    fit_params: Mapping[str, Any],
    classes: Any,
) -> None:
    """Trains a model for one more round.

    Args:
        model: The model, which is changed.
        number: Number of the round, from 1.
        iterations: Number of all rounds.
        total: The resource of all rounds together; None for ``partial_fit``.
        data: (samples,) or (samples, labels).
        fit_params: Arguments of ``fit``.
        classes: All classes, for a classifier.
    """
    part, own_params = model, dict(fit_params)
    if isinstance(model, Pipeline):
        data = (_transformed(model, number == 1, data, fit_params), *data[1:])
        part = trained_part(model)
        own_params = _params_of_step(model.steps[-1][0], fit_params)
    if total is None:
        if classes is not None and "classes" in inspect.signature(part.partial_fit).parameters:
            own_params.setdefault("classes", classes)
        part.partial_fit(*data, **own_params)
        return
    before, now = share_of(total, number - 1, iterations), share_of(total, number, iterations)
    if now == before:
        return
    amount = now if _counts_all_rounds(part) else now - before
    part.set_params(**{"warm_start": True, str(way_of(part)): amount})
    with warnings.catch_warnings():
        if number < iterations:
            # The solver is meant to stop before it has converged.
            warnings.simplefilter("ignore", ConvergenceWarning)
        part.fit(*data, **own_params)


def total_of(estimator: Any) -> int | None:
    """Returns the resource of all rounds together; None if ``partial_fit`` trains the rounds.

    Args:
        estimator: The estimator with the parameters of the candidate.
    """
    check_rounds(estimator)
    way = way_of(estimator)
    return None if way == PARTIAL_FIT else getattr(trained_part(estimator), str(way))


def limit(estimator: Any, number: int, iterations: int) -> None:
    """Gives an estimator the resource of some rounds, to train it by one fit.

    Args:
        estimator: The estimator with the parameters of the candidate, which is changed.
        number: Number of rounds.
        iterations: Number of all rounds.
    """
    total = total_of(estimator)
    if total is not None and number < iterations:
        part = trained_part(estimator)
        part.set_params(**{str(way_of(part)): share_of(total, number, iterations)})


def share_of(total: int, number: int, iterations: int) -> int:
    """Returns the resource of the first rounds together.

    Args:
        total: The resource of all rounds.
        number: Number of rounds.
        iterations: Number of all rounds.
    """
    return -(-total * number // iterations)


def _counts_all_rounds(part: Any) -> bool:
    """Returns whether the resource of an estimator counts all rounds, not only the next one."""
    if way_of(part) != "max_iter":
        return True
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return isinstance(part, (HistGradientBoostingClassifier, HistGradientBoostingRegressor))


def _transformed(
    pipeline: Pipeline, is_first: bool, data: tuple[Any, ...], fit_params: Mapping[str, Any]
) -> Any:
    """Returns the samples as the last step of a pipeline gets them."""
    if len(pipeline.steps) == 1:
        return data[0]
    head = pipeline[:-1]
    if not is_first:
        return head.transform(data[0])
    last = pipeline.steps[-1][0]
    others = {name: value for name, value in fit_params.items() if name.partition("__")[0] != last}
    samples = head.fit_transform(*data, **others)
    pipeline.steps[:-1] = head.steps  # With a memory, they are copies.
    return samples


def _params_of_step(step: str, fit_params: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{step}__"
    return {
        name.removeprefix(prefix): value
        for name, value in fit_params.items()
        if name.startswith(prefix)
    }
