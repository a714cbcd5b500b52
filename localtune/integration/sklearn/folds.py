"""One trial of a search: a candidate, fitted and scored on each fold."""

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
    """What all candidates of a search share; it travels to each worker once.

    Attributes:
        estimator: What is searched for parameters of; it is cloned.
        data: Samples, a row each.
        target: Their labels; None without.
        splits: Rows to train and to test on, a pair for each fold.
        scorer: Called as ``scorer(estimator, data, target)``; one score, or {name: score}.
        refit_name: The one that is optimised; if there is none of that name, it is the first.
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
            # The checkpoint may be that of another candidate: a scheduler such as Population Based
            # Training clones one, with other parameters.
            if model is not None:
                model.set_params(**copies(self.config))

    def _fold(self, fold: int, train: Any, test: Any, failures: list[str]) -> dict[str, float]:
        """Times, and scores as ``test_<name>``; without scores, if the fold has failed."""
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
    """The score of a fold that is optimised."""
    scores = {key: value for key, value in found.items() if key.startswith("test_")}
    if not scores:
        return float(task.error_score)
    return scores.get(f"test_{task.refit_name}", next(iter(scores.values())))


def copies(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for one estimator: it shares none with others."""
    from sklearn.base import clone

    return {name: clone(value, safe=False) for name, value in params.items()}


def trained(task: Task, model: Any, params: Mapping[str, Any], rows: Any = None) -> Any:
    """A model after one more round of training; ``rows`` None takes all samples."""
    from sklearn.base import clone
    from sklearn.utils.metaestimators import _safe_split
    from sklearn.utils.validation import _check_method_params

    if model is None:
        model = clone(task.estimator).set_params(**copies(params))
    data, target = task.data, task.target
    if rows is not None:
        # Of a matrix of distances or of a kernel it takes the columns, too.
        data, target = _safe_split(model, data, target, rows)
    fit_params = _check_method_params(task.data, task.fit_params, rows)
    arguments = (data,) if target is None else (data, target)
    if task.iterations is None:
        return model.fit(*arguments, **fit_params)
    if task.classes is not None:
        fit_params.setdefault("classes", task.classes)
    return model.partial_fit(*arguments, **fit_params)
