"""LocaltuneSearchCV: searches for the parameters of a scikit-learn estimator.

::

    fit(X, y) -> Task (data, folds, scorer), sent once to each worker
                 candidates, drawn from the space
      trial 1: Candidate(params) -- trained for a round on each fold --> scores -> scheduler
      trial 2: ...
    -> cv_results_, best_params_ -> refit on all samples -> best_estimator_
"""

from __future__ import annotations

import contextlib
import copy
import numbers
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.utils.messages import warn
from localtune.utils.temporary import temporary_directory

try:
    import numpy as np
    from sklearn.base import is_classifier
    from sklearn.exceptions import FitFailedWarning
    from sklearn.metrics import check_scoring
    from sklearn.model_selection import check_cv
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.utils import check_random_state, indexable
except ImportError as error:
    raise ExtraMissingError("scikit-learn", "sklearn", "LocaltuneSearchCV") from error

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.integration.sklearn.cv_results import cv_results
from localtune.integration.sklearn.folds import SCORE, Candidate, Task, trained_on_all
from localtune.integration.sklearn.rounds import check_fit_params, check_rounds
from localtune.integration.sklearn.spaces import (
    DEFAULT_N_TRIALS,
    CandidateList,
    candidates_of,
    check_space,
    domains_of,
    spaces_in,
)
from localtune.trainable.util import with_parameters, with_resources
from localtune.tuner import Tuner

if TYPE_CHECKING:
    from localtune.analysis.result_grid import ResultGrid


class LocaltuneSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Searches for the best parameters of an estimator by cross-validation.

    It is used like ``RandomizedSearchCV`` or ``GridSearchCV``, and has the same attributes after
    ``fit``. Each candidate is a trial in a worker process. A scheduler may stop candidates early
    if ``max_iters`` is set.

    Args:
        estimator: Estimator of scikit-learn, or a pipeline.
        space: {name of a parameter: list of choices, domain such as ``tune.uniform(0, 1)``,
            distribution of SciPy, ``tune.grid_search([...])``, or a constant}; parts of a
            pipeline as ``part__name``. Of a list of such dicts, one is drawn first.
        n_trials: Number of draws. A space of lists alone is drawn without replacement; each draw
            gives a candidate for each combination of grids. None is 10, or all combinations of
            a space that has only lists, grids and constants.
        scheduler: Scheduler that stops candidates early, or its name, such as ``"asha"``. Needs
            ``max_iters``. The search sets its metric and mode.
        search_alg: Searcher that suggests candidates, or its name, such as ``"optuna"``; None
            draws them as scikit-learn does.
        max_iters: Number of rounds in which a candidate is trained, with scores after each: a
            call of ``partial_fit``, or with ``warm_start`` a part of ``n_estimators`` or
            ``max_iter``. None trains each candidate once by ``fit``.
        scoring: As in ``RandomizedSearchCV``: a name, a callable, or several in a list or dict.
        n_jobs: Number of concurrent candidates; None is 1, -1 the number of CPUs.
        refit: Whether to train the best candidate on all samples in the end. With several scores,
            the name of the score that decides. A callable chooses the index from ``cv_results_``.
        cv: As in ``RandomizedSearchCV``: number of folds, a splitter, or pairs of row indices.
        time_budget_s: Seconds after which the search ends with the candidates so far; None for no
            limit.
        random_state: Seed of the candidates, which ``RandomizedSearchCV`` would draw, too; with
            ``n_jobs=1`` the decisions of a scheduler or a searcher are repeatable.
        error_score: Score of a fold whose fit or scoring fails, or ``"raise"``.
        return_train_score: Whether ``cv_results_`` also holds scores of the training samples.
        verbose: 0 prints only failures, 1 progress, 2 also results, 3 and more all of them.
        storage_path: Directory for the experiment; None keeps none.
        name: Name of the experiment; None makes one.
        resources: Resources of each trial, such as ``{"gpu": 1}``; None is one CPU.
        stop: Stop conditions, as in ``RunConfig``.
        callbacks: Callbacks of the run, such as loggers.
        executor: Executor that trains the candidates; None uses processes, ``"inprocess"`` the
            current process.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> import localtune as tune
        >>> space = {"C": tune.loguniform(0.1, 100), "kernel": ["linear", "rbf"]}
        >>> search = LocaltuneSearchCV(SVC(), space, n_trials=4, random_state=0)
        >>> search.fit(*load_iris(return_X_y=True)).best_score_ > 0.9
        True
    """

    # The checks of scikit-learn before 1.6 use it to construct an estimator.
    _required_parameters = ("estimator", "space")

    def __init__(
        self,
        estimator: Any,
        space: Any = None,
        *,
        n_trials: int | None = None,
        scheduler: Any = None,
        search_alg: Any = None,
        max_iters: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = -1,
        refit: Any = True,
        cv: Any = None,
        time_budget_s: float | None = None,
        random_state: Any = None,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        verbose: int = 0,
        storage_path: str | None = None,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        stop: Any = None,
        callbacks: Any = None,
        executor: Any = None,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.scheduler = scheduler
        self.search_alg = search_alg
        self.max_iters = max_iters
        self.time_budget_s = time_budget_s
        self.random_state = random_state
        self.storage_path = storage_path
        self.name = name
        self.resources = resources
        self.stop = stop
        self.callbacks = callbacks
        self.executor = executor

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags

        tags = super().__sklearn_tags__()
        # The search supports several targets if the estimator does.
        tags.target_tags.multi_output = get_tags(self.estimator).target_tags.multi_output
        return tags

    def fit(self, X: Any, y: Any = None, **params: Any) -> LocaltuneSearchCV:
        """Searches, and trains the best candidate on all samples.

        Args:
            X: Samples: (n_samples, n_features).
            y: Labels: (n_samples,) or (n_samples, n_outputs); None for no labels.
            **params: Arguments of the estimator's ``fit``, such as ``sample_weight``, and
                ``groups`` for the splitter.

        Returns:
            This estimator.

        Raises:
            ValueError: for invalid arguments, and if all fits have failed.
        """
        self._check_arguments(spaces_in(self.space))
        scorer = check_scoring(self.estimator, self.scoring)
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(params)
        if self.max_iters is not None:
            check_fit_params(self.estimator, routed.estimator.fit)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        refit_name = self._refit_name()
        task = Task(
            estimator=self.estimator,
            data=X,
            target=y,
            splits=splits,
            scorer=scorer,
            refit_name=refit_name,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            classes=np.unique(y) if self.max_iters and is_classifier(self.estimator) else None,
            iterations=self.max_iters,
            error_score=self.error_score,
            with_train_score=self.return_train_score,
        )
        with self._storage() as storage_path:
            grid = self._search(task, storage_path)
        self._set_results(grid, task)
        self.scorer_ = self._fitted_scorer(scorer)
        self.n_splits_ = len(splits)
        if self.refit:
            self._refit(task)
        return self

    # -- pieces of fit --------------------------------------------------------------------------

    def _check_arguments(self, spaces: list[Mapping[str, Any]]) -> None:
        is_class = isinstance(self.estimator, type)
        if is_class or not all(hasattr(self.estimator, name) for name in ("fit", "get_params")):
            raise TypeError(
                "estimator must be an object with fit and get_params, such as SVC(), but got "
                f"{self.estimator!r}."
            )
        for space in spaces:
            check_space(space, self.estimator)
        if self.search_alg is not None:
            if len(spaces) > 1:
                raise ValueError(
                    "search_alg needs one space, but got a list of them. Search each by itself, "
                    "or leave search_alg out."
                )
            domains_of(spaces[0])
        _check_count("n_trials", self.n_trials)
        if self.n_jobs is not None and (not isinstance(self.n_jobs, int) or self.n_jobs == 0):
            raise ValueError(
                "n_jobs must be None (1), at least 1, or below 0 (-1: as many as there are CPUs), "
                f"but got {self.n_jobs!r}."
            )
        if self.error_score != "raise" and not isinstance(self.error_score, numbers.Real):
            raise ValueError(
                f"error_score must be 'raise' or a number, but got {self.error_score!r}."
            )
        _check_count("max_iters", self.max_iters)
        if self.max_iters is not None:
            if not any(self._replaces_trained_part(space) for space in spaces):
                check_rounds(self.estimator)
        elif self.scheduler is not None:
            raise ValueError(
                "A scheduler stops candidates between rounds of training, but without max_iters "
                "there is only one. Set max_iters, or leave scheduler out."
            )

    def _replaces_trained_part(self, space: Mapping[str, Any]) -> bool:
        """Returns whether candidates have other estimators at the end of the pipeline."""
        steps: Any = getattr(self.estimator, "steps", None)
        return steps is not None and ("steps" in space or steps[-1][0] in space)

    def _refit_name(self) -> str:
        if isinstance(self.scoring, (list, tuple, set, dict)):
            self._check_refit(list(self.scoring))
        return self.refit if isinstance(self.refit, str) else "score"

    def _check_refit(self, names: list[str]) -> None:
        if callable(self.refit) or self.refit is False or self.refit in names:
            return
        raise ValueError(
            "With several scores, refit must be False, a callable, or the name of the score "
            f"that decides, one of {names}, but got {self.refit!r}."
        )

    @contextlib.contextmanager
    def _storage(self) -> Iterator[str]:
        if self.storage_path is not None:
            yield os.fspath(self.storage_path)
            return
        with temporary_directory(prefix="localtune-search-") as directory:
            yield directory

    def _search(self, task: Task, storage_path: str) -> ResultGrid:
        trainable = with_parameters(Candidate, task=task)
        if self.resources is not None:
            trainable = with_resources(trainable, self.resources)
        state, spaces = self.random_state, spaces_in(self.space)
        # Copies of what has a state that changes, because each fit must start afresh.
        if self.search_alg is None:
            candidates = candidates_of(spaces, self.n_trials, state)
            param_space, n_trials = {}, len(candidates)
            search_alg: Any = CandidateList(candidates)
        else:
            param_space, n_trials = domains_of(spaces[0]), self.n_trials or DEFAULT_N_TRIALS
            search_alg = copy.deepcopy(self.search_alg)
        seed = None if state is None else check_random_state(state).randint(2**31 - 1)
        tuner = Tuner(
            trainable,
            param_space=param_space,
            tune_config=TuneConfig(
                metric=SCORE,
                mode="max",
                num_samples=n_trials,
                scheduler=copy.deepcopy(self.scheduler),
                search_alg=search_alg,
                max_concurrent_trials=self._jobs(),
                time_budget_s=self.time_budget_s,
                reuse_actors=True,
                seed=seed,
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=storage_path,
                verbose=min(self.verbose, 3),
                stop=copy.deepcopy(self.stop),
                callbacks=copy.deepcopy(self.callbacks),
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                failure_config=FailureConfig(
                    fail_fast="raise" if self.error_score == "raise" else False
                ),
            ),
            executor=self.executor,
        )
        return tuner.fit()

    def _jobs(self) -> int | None:
        if self.n_jobs is None:
            return 1
        if self.n_jobs < 0:
            cpus = os.cpu_count() or 1
            return None if self.n_jobs == -1 else max(cpus + 1 + self.n_jobs, 1)
        return int(self.n_jobs)

    def _set_results(self, grid: ResultGrid, task: Task) -> None:
        """Sets the table of results and the best candidate."""
        trials = grid._experiment_analysis.trials
        rows = [trial.last_result for trial in trials]
        params = [trial.config for trial in trials]
        self._report_failures(rows, [trial.get_error() for trial in trials], task)
        names = self._score_names(rows)
        several = isinstance(self.scoring, (list, tuple, set, dict))
        self.multimetric_ = several or names != ["score"]
        if self.multimetric_:
            self._check_refit(names)
        self.cv_results_ = cv_results(params, rows, names, task)
        if self.multimetric_ and not self.refit:
            return
        decides = task.refit_name if self.multimetric_ else "score"
        if callable(self.refit):
            self.best_index_ = _checked_index(self.refit(self.cv_results_), len(params))
        else:
            self.best_index_ = int(self.cv_results_[f"rank_test_{decides}"].argmin())
            self.best_score_ = float(self.cv_results_[f"mean_test_{decides}"][self.best_index_])
        self.best_params_ = params[self.best_index_]

    def _score_names(self, rows: list[Any]) -> list[str]:
        """Returns the names of the scores; for a callable they are known only from its results."""
        if isinstance(self.scoring, (list, tuple, set, dict)):
            return list(self.scoring)
        keys = [re.fullmatch(r"split\d+_test_(.+)", key) for row in rows for key in row]
        return list(dict.fromkeys(match[1] for match in keys if match)) or ["score"]

    def _report_failures(self, rows: list[Any], errors: list[Any], task: Task) -> None:
        """Warns of failed fits; raises ValueError if all fits failed."""
        texts = [text for row in rows for text in row.get("failures", ())]
        if not any(SCORE in row for row in rows) and not any(errors):
            raise ValueError(
                f"time_budget_s={self.time_budget_s!r} was over before any candidate had a score. "
                "Increase it, or leave it out."
            )
        died = [error for error in errors if error is not None]
        fits = len(rows) * len(task.splits)
        failed = len(texts) + len(died) * len(task.splits)
        if not failed:
            return
        last = texts[-1] if texts else str(died[-1])
        if failed >= fits:
            raise ValueError(
                f"All the {fits} fits failed. It is very likely that the estimator is "
                f"misconfigured: set error_score='raise' to debug it. The last error:\n{last}"
            )
        warn(
            f"{failed} of {fits} fits failed, and their score is {self.error_score}. The last "
            f"error:\n{last}",
            FitFailedWarning,
            stacklevel=3,
        )

    def _fitted_scorer(self, scorer: Callable[..., Any]) -> Any:
        if not isinstance(self.scoring, (list, tuple, set, dict)):
            return scorer
        named = self.scoring if isinstance(self.scoring, dict) else {n: n for n in self.scoring}
        return {name: check_scoring(self.estimator, each) for name, each in named.items()}

    def _refit(self, task: Task) -> None:
        started = time.monotonic()
        rounds = int(self.cv_results_["training_iteration"][self.best_index_])
        model = trained_on_all(task, self.best_params_, rounds)
        self.best_estimator_ = model
        self.refit_time_ = time.monotonic() - started
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_


def _check_count(name: str, value: Any) -> None:
    """Checks that an argument is None or a whole number above 0.

    Args:
        name: Name of the argument.
        value: Its value.

    Raises:
        ValueError: if it is neither.
    """
    if value is not None and (not isinstance(value, numbers.Integral) or value < 1):
        raise ValueError(f"{name} must be at least 1, or None, but got {value!r}.")


def _checked_index(index: Any, count: int) -> int:
    """Returns the index that a callable ``refit`` chose.

    Args:
        index: Its return value.
        count: Number of candidates.

    Raises:
        TypeError: if it is no whole number.
        IndexError: if there is no such candidate.
    """
    if not isinstance(index, (int, np.integer)):
        raise TypeError(
            f"refit must return the index of a candidate in cv_results_, but returned {index!r}."
        )
    if not 0 <= index < count:
        raise IndexError(f"refit returned {index}, but cv_results_ has {count} candidates.")
    return int(index)
