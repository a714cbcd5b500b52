"""One trial of a search: a candidate, fitted and scored on each fold."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localtune.trainable.trainable import Trainable

SCORE = "score"


@dataclass
class Task:
    """What all candidates of a search share; it travels to each worker once.

    Attributes:
        estimator: What is searched for parameters of; it is cloned.
        data: Samples, a row each.
        target: Their labels; None without.
        splits: Rows to train and to test on, a pair for each fold.
        scorer: Called as ``scorer(estimator, data, target)``; one score, or {name: score}.
        names: Names of the scores, as in ``mean_test_<name>``.
        refit_name: The one of them that is optimised.
        fit_params: For ``fit``: values with one entry for each sample are split like the data.
        score_params: For the scorer.
        classes: What a classifier tells apart; None for what is no classifier.
        iterations: Rounds of training with ``partial_fit``; None is one, with ``fit``.
        error_score: Score of a fold whose fit fails; "raise" raises.
        with_train_score: Whether to score what was trained on, too.
    """

    estimator: Any
    data: Any
    target: Any
    splits: Sequence[tuple[Any, Any]]
    scorer: Callable[..., Any]
    names: Sequence[str]
    refit_name: str
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    classes: Any
    iterations: int | None
    error_score: float | str
    with_train_score: bool


class Candidate(Trainable):
    """Trains one candidate on all folds; an iteration is one round over them."""

    def setup(self, config: dict[str, Any], task: Task | None = None) -> None:
        assert task is not None  # with_parameters adds it
        self.task = task
        self.models: list[Any] = [None] * len(task.splits)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.models = [None] * len(self.task.splits)
        return True

    def step(self) -> dict[str, Any]:
        task = self.task
        result: dict[str, Any] = {"failures": []}
        for fold, rows in enumerate(task.splits):
            for key, value in self._fold(fold, *rows, result["failures"]).items():
                result[f"split{fold}_{key}"] = value
        scores = [result[f"split{fold}_test_{task.refit_name}"] for fold in range(len(task.splits))]
        result[SCORE] = sum(scores) / len(scores)
        result["done"] = self.iteration + 1 >= (task.iterations or 1)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"models": self.models}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.models = checkpoint["models"]

    def _fold(self, fold: int, train: Any, test: Any, failures: list[str]) -> dict[str, float]:
        task = self.task
        found: dict[str, float] = {}
        started = time.monotonic()
        try:
            self.models[fold] = trained(task, self.models[fold], self.config, train)
        except Exception:
            if task.error_score == "raise":
                raise
            failures.append(traceback.format_exc(limit=-1))
            found |= dict.fromkeys((f"test_{name}" for name in task.names), float(task.error_score))
            if task.with_train_score:
                found |= dict.fromkeys(
                    (f"train_{name}" for name in task.names), float(task.error_score)
                )
        fitted = time.monotonic()
        if not found:
            found |= self._scores(fold, "test", test)
        found["fit_time"], found["score_time"] = fitted - started, time.monotonic() - fitted
        if task.with_train_score and f"train_{task.refit_name}" not in found:
            found |= self._scores(fold, "train", train)
        return found

    def _scores(self, fold: int, part: str, rows: Any) -> dict[str, float]:
        task = self.task
        params = subset(task, task.score_params, rows)
        arguments = (at(task.data, rows),) + (
            () if task.target is None else (at(task.target, rows),)
        )
        try:
            found = task.scorer(self.models[fold], *arguments, **params)
        except Exception as error:
            if task.error_score == "raise":
                raise
            warnings.warn(f"Scoring failed: {error}", UserWarning, stacklevel=2)
            found = dict.fromkeys(task.names, float(task.error_score))
        if not isinstance(found, Mapping):
            found = {task.names[0]: found}
        return {f"{part}_{name}": float(found[name]) for name in task.names}


def make_model(estimator: Any, params: Mapping[str, Any]) -> Any:
    """A fresh copy of an estimator with these parameters."""
    from sklearn.base import clone

    model = clone(estimator)
    return model.set_params(**{name: clone(value, safe=False) for name, value in params.items()})


def trained(task: Task, model: Any, params: Mapping[str, Any], rows: Any = None) -> Any:
    """A model after one more round of training; ``rows`` None takes all samples."""
    data = task.data if rows is None else at(task.data, rows)
    arguments = [data]
    if task.target is not None:
        arguments.append(task.target if rows is None else at(task.target, rows))
    fit_params = dict(task.fit_params) if rows is None else subset(task, task.fit_params, rows)
    if model is None:
        model = make_model(task.estimator, params)
    if task.iterations is None:
        return model.fit(*arguments, **fit_params)
    if task.classes is not None:
        fit_params.setdefault("classes", task.classes)
    return model.partial_fit(*arguments, **fit_params)


def at(values: Any, rows: Any) -> Any:
    """Some rows of an array, a data frame, a sparse matrix or a list."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(values, rows)


def subset(task: Task, params: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Parameters for some rows: those with one value for each sample are cut down to them."""
    from sklearn.utils.validation import _num_samples

    count = _num_samples(task.data)

    def is_per_sample(value: Any) -> bool:
        return hasattr(value, "__len__") and not isinstance(value, str) and len(value) == count

    return {name: at(it, rows) if is_per_sample(it) else it for name, it in params.items()}
