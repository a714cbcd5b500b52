"""Candidate: the trainable of a search, which fits and scores an estimator on each fold."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from localtune.integration.sklearn.rounds import limit, total_of, train_round
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
        iterations: Number of rounds of training; None for one call of ``fit``.
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
            # another candidate, with other parameters. Parts that are estimators are trained
            # already, and the number of a round decides what the candidate still gets.
            if model is not None:
                own = {k: v for k, v in self.config.items() if not hasattr(v, "get_params")}
                model.set_params(**copies(own))

    def _fold(self, fold: int, train: Any, test: Any, failures: list[str]) -> dict[str, float]:
        """Returns the times (in seconds) and the scores of a fold; no scores if it failed."""
        task = self.task
        scores: dict[str, float] = {}
        fit_time = score_time = 0.0
        started = time.monotonic()
        try:
            try:
                self.models[fold] = trained(
                    task, self.models[fold], self.config, self.iteration + 1, train
                )
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
    return {name: clone(value, safe=False) for name, value in params.items()}


def trained(task: Task, model: Any, params: Mapping[str, Any], number: int, rows: Any) -> Any:
    """Returns a model after one more round of training.

    Args:
        task: The search.
        model: The model so far; None makes a new one.
        params: Parameters of the candidate.
        number: Number of the round, from 1.
        rows: Rows to train on; None for all.
    """
    configured = clone(task.estimator).set_params(**copies(params))
    if model is None:
        model = configured
    data, fit_params = _training_data(task, model, rows)
    if task.iterations is None:
        return model.fit(*data, **fit_params)
    total = total_of(configured)
    train_round(model, number, task.iterations, total, data, fit_params, task.classes)
    return model


def trained_on_all(task: Task, params: Mapping[str, Any], rounds: int) -> Any:
    """Returns a model that is trained on all samples, as far as a candidate was trained.

    Args:
        task: The search.
        params: Parameters of the candidate.
        rounds: Number of its rounds.
    """
    model = clone(task.estimator).set_params(**copies(params))
    if task.iterations is not None:
        if total_of(model) is None:
            for number in range(1, max(rounds, 1) + 1):
                model = trained(task, model, params, number, None)
            return model
        limit(model, max(rounds, 1), task.iterations)
    data, fit_params = _training_data(task, model, None)
    return model.fit(*data, **fit_params)


def _training_data(task: Task, model: Any, rows: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the positional and the named arguments of ``fit`` for some rows."""
    data, target = task.data, task.target
    if rows is not None:
        # For a matrix of distances or a kernel matrix it selects the columns, too.
        data, target = _safe_split(model, data, target, rows)
    fit_params = _check_method_params(task.data, task.fit_params, rows)
    return ((data,) if target is None else (data, target)), fit_params
