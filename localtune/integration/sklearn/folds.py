"""Candidate: the trainable of a search, which fits and scores an estimator on each fold."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localtune.trainable.trainable import Trainable

SCORE = "score"


@dataclass
class Task:
    """The data that all candidates of a search share. It is sent to each worker once.

    Attributes:
        estimator: The estimator, which is cloned for each candidate.
        data: Samples: (n_samples, n_features).
        target: Labels: (n_samples,) or (n_samples, n_outputs); None for no labels.
        splits: (rows to train on, rows to test on) of each fold.
        scorer: ``scorer(estimator, data, target)``, which returns a score, or {name: score}.
        refit_name: Name of the score to optimise; the first score if there is none of that name.
        fit_params: Arguments of ``fit``; values with one entry per sample are split like the data.
        score_params: Arguments of the scorer.
        classes: Classes of a classifier; None for other estimators.
        iterations: Number of rounds with ``partial_fit``; None for one round with ``fit``.
        error_score: Score of a fold whose fit fails, or ``"raise"``.
        with_train_score: Whether to score the training samples, too.
    """

    estimator: Any
    data: Any
    target: Any
    splits: Sequence[tuple[Any, Any]]
    scorer: Callable[..., Any]
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
        scores = []
        for fold, (train, test) in enumerate(task.splits):
            found = self._fold(fold, train, test, result["failures"])
            scores.append(deciding_score(task, found))
            for key, value in found.items():
                result[f"split{fold}_{key}"] = value
        result[SCORE] = sum(scores) / len(scores)
        result["done"] = self.iteration + 1 >= (task.iterations or 1)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"models": self.models}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.models = checkpoint["models"]
        for model in self.models:
            # A scheduler such as population based training may have cloned the checkpoint of
            # another candidate, with other parameters.
            if model is not None:
                model.set_params(**copies(self.config))

    def _fold(self, fold: int, train: Any, test: Any, failures: list[str]) -> dict[str, float]:
        """Returns the times (in seconds) and the scores of a fold; no scores if it failed."""
        task = self.task
        scores: dict[str, float] = {}
        fit_time = score_time = 0.0
        started = time.monotonic()
        try:
            try:
                self.models[fold] = trained(task, self.models[fold], self.config, train)
            finally:
                fit_time = time.monotonic() - started
            tested = self._scores(fold, "test", test, train)
            score_time = time.monotonic() - started - fit_time
            trained_on = self._scores(fold, "train", train, train) if task.with_train_score else {}
            scores = tested | trained_on
        except Exception:
            if task.error_score == "raise":
                raise
            failures.append(traceback.format_exc(limit=-1))
        return {"fit_time": fit_time, "score_time": score_time, **scores}

    def _scores(self, fold: int, part: str, rows: Any, train: Any) -> dict[str, float]:
        from sklearn.utils.metaestimators import _safe_split
        from sklearn.utils.validation import _check_method_params

        task, model = self.task, self.models[fold]
        data, target = _safe_split(model, task.data, task.target, rows, train)
        params = _check_method_params(task.data, task.score_params, rows)
        found = task.scorer(model, *((data,) if target is None else (data, target)), **params)
        if not isinstance(found, Mapping):
            found = {"score": found}
        return {f"{part}_{name}": float(score) for name, score in found.items()}


def deciding_score(task: Task, found: Mapping[str, float]) -> float:
    """Returns the score of a fold that is optimised.

    Args:
        task: The search.
        found: Times and scores of the fold.
    """
    scores = {key: value for key, value in found.items() if key.startswith("test_")}
    if not scores:
        return float(task.error_score)
    return scores.get(f"test_{task.refit_name}", next(iter(scores.values())))


def copies(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns copies of parameters, so that estimators do not share them."""
    from sklearn.base import clone

    return {name: clone(value, safe=False) for name, value in params.items()}


def trained(task: Task, model: Any, params: Mapping[str, Any], rows: Any = None) -> Any:
    """Returns a model after one more round of training.

    Args:
        task: The search.
        model: The model so far; None makes a new one.
        params: Parameters of a new model.
        rows: Rows to train on; None for all.
    """
    from sklearn.base import clone
    from sklearn.utils.metaestimators import _safe_split
    from sklearn.utils.validation import _check_method_params

    if model is None:
        model = clone(task.estimator).set_params(**copies(params))
    data, target = task.data, task.target
    if rows is not None:
        # For a matrix of distances or a kernel matrix it selects the columns, too.
        data, target = _safe_split(model, data, target, rows)
    fit_params = _check_method_params(task.data, task.fit_params, rows)
    arguments = (data,) if target is None else (data, target)
    if task.iterations is None:
        return model.fit(*arguments, **fit_params)
    if task.classes is not None:
        fit_params.setdefault("classes", task.classes)
    return model.partial_fit(*arguments, **fit_params)
