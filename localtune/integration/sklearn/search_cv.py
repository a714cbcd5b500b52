"""LocaltuneSearchCV: searches for the parameters of a scikit-learn estimator.

::

    fit(X, y) -> Task (data, folds, scorer), sent once to each worker
      trial 1: Candidate(params) -- fit or partial_fit on each fold --> scores -> scheduler
      trial 2: ...
    -> cv_results_, best_params_ -> refit on all samples -> best_estimator_
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.utils.messages import warn

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
from localtune.integration.sklearn.folds import SCORE, Candidate, Task, trained
from localtune.search.sample import choice
from localtune.trainable.util import with_parameters
from localtune.tuner import Tuner

if TYPE_CHECKING:
    from localtune.analysis.result_grid import ResultGrid


class LocaltuneSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Searches for the best parameters of an estimator by cross-validation.

    It is used like ``RandomizedSearchCV``, and has the same attributes after ``fit``. Each
    candidate is a trial in its own worker process. A scheduler may stop candidates early if the
    estimator has ``partial_fit`` and ``max_iters`` is set.

    Args:
        estimator: Estimator of scikit-learn, or a pipeline.
        space: {name of a parameter: domain such as ``tune.uniform(0, 1)``, list of choices,
            ``tune.grid_search([...])``, or a constant}; parts of a pipeline as ``part__name``.
        n_trials: Number of candidates; with a grid, number of repetitions of the whole grid.
        scheduler: Scheduler that stops candidates early, or its name, such as ``"asha"``. Needs
            ``max_iters``. The search sets its metric and mode.
        search_alg: Searcher that suggests candidates, or its name, such as ``"optuna"``; None
            samples the space.
        max_iters: Number of calls of ``partial_fit`` per candidate and fold, with scores after
            each; None trains each candidate once by ``fit``.
        scoring: As in ``RandomizedSearchCV``: a name, a callable, or several in a list or dict.
        n_jobs: Number of concurrent candidates; None is 1, -1 the number of CPUs.
        refit: Whether to train the best candidate on all samples in the end. With several scores,
            the name of the score that decides. A callable chooses the index from ``cv_results_``.
        cv: As in ``RandomizedSearchCV``: number of folds, a splitter, or pairs of row indices.
        time_budget_s: Seconds after which the search ends with the candidates so far; None for no
            limit.
        random_state: Seed of the candidates; with ``n_jobs=1`` the decisions of a scheduler or a
            searcher are repeatable, too.
        error_score: Score of a fold whose fit or scoring fails, or ``"raise"``.
        return_train_score: Whether ``cv_results_`` also holds scores of the training samples.
        verbose: 0 prints only failures, 1 progress, 2 also results.
        storage_path: Directory for the experiment; None keeps none.
        name: Name of the experiment; None makes one.
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
        space: Mapping[str, Any] | None = None,
        *,
        n_trials: int = 10,
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
        self._check_arguments()
        scorer = check_scoring(self.estimator, self.scoring)
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(params)
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

    def _check_arguments(self) -> None:
        if not isinstance(self.space, Mapping) or not self.space:
            raise ValueError(
                "space must be a dict {name of a parameter: domain, list or constant} with at "
                f"least one entry, but got {self.space!r}."
            )
        for name, domain in self.space.items():
            if hasattr(domain, "rvs"):
                raise ValueError(
                    f"space[{name!r}] must be a domain of localtune, but is a distribution of "
                    "SciPy. Use tune.uniform(0, 1) or tune.loguniform(1e-4, 1), for example."
                )
        unknown = self.space.keys() - self.estimator.get_params().keys()
        if unknown and not any("__" in name for name in unknown):
            raise ValueError(
                f"Invalid parameter {min(unknown)!r} for estimator {self.estimator!r}: space must "
                "hold only parameters of the estimator."
            )
        if not isinstance(self.n_trials, int) or self.n_trials < 1:
            raise ValueError(f"n_trials must be at least 1, but got {self.n_trials!r}.")
        if self.n_jobs is not None and (not isinstance(self.n_jobs, int) or self.n_jobs == 0):
            raise ValueError(
                "n_jobs must be None (1), at least 1, or below 0 (-1: as many as there are CPUs), "
                f"but got {self.n_jobs!r}."
            )
        if self.max_iters is not None:
            if not isinstance(self.max_iters, int) or self.max_iters < 1:
                raise ValueError(f"max_iters must be at least 1, but got {self.max_iters!r}.")
            if not hasattr(self.estimator, "partial_fit"):
                raise ValueError(
                    f"max_iters needs an estimator with partial_fit, but {self.estimator!r} has "
                    "none. Leave max_iters out to train each candidate once by fit."
                )
        elif self.scheduler is not None:
            raise ValueError(
                "A scheduler stops candidates between iterations, but without max_iters there is "
                "only one. Set max_iters (for an estimator with partial_fit), or leave scheduler "
                "out."
            )

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
        with tempfile.TemporaryDirectory(prefix="localtune-search-") as directory:
            yield directory

    def _search(self, task: Task, storage_path: str) -> ResultGrid:
        assert self.space is not None  # checked
        state = self.random_state
        seed = None if state is None else check_random_state(state).randint(2**31 - 1)
        tuner = Tuner(
            with_parameters(Candidate, task=task),
            param_space={
                name: choice(it) if isinstance(it, (list, tuple)) else it
                for name, it in self.space.items()
            },
            tune_config=TuneConfig(
                metric=SCORE,
                mode="max",
                num_samples=self.n_trials,
                # Copies, because their state changes and each fit must start afresh.
                scheduler=copy.deepcopy(self.scheduler),
                search_alg=copy.deepcopy(self.search_alg),
                max_concurrent_trials=self._jobs(),
                time_budget_s=self.time_budget_s,
                reuse_actors=True,
                seed=seed,
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=storage_path,
                verbose=self.verbose,
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
            self.best_index_ = self.refit(self.cv_results_)
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
        model: Any = None
        for _ in range(max(rounds if task.iterations else 1, 1)):
            model = trained(task, model, self.best_params_)
        self.best_estimator_ = model
        self.refit_time_ = time.monotonic() - started
        if hasattr(model, "feature_names_in_"):
            self.feature_names_in_ = model.feature_names_in_
