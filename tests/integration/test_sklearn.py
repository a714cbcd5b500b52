"""LocaltuneSearchCV with the real scikit-learn."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

import localtune as tune
from localtune.integration.sklearn import LocaltuneSearchCV
from localtune.schedulers import ASHAScheduler, PopulationBasedTraining
from tests.heavy import long_but

X, Y = load_iris(return_X_y=True)


def search(estimator: Any = None, space: Any = None, **options: Any) -> LocaltuneSearchCV:
    """A small search, by default in this process."""
    options = {"executor": "inprocess", "random_state": 0, "n_trials": 3, "cv": 3, **options}
    return LocaltuneSearchCV(
        SVC() if estimator is None else estimator,
        {"C": tune.loguniform(0.1, 10)} if space is None else space,
        **options,
    )


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "estimator", long_but([], [Ridge(), RidgeClassifier(), GaussianNB()]), ids=repr
)
def test_it_passes_the_checks_of_scikit_learn(
    estimator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The checks keep their files until the interpreter ends.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    name = "var_smoothing" if isinstance(estimator, GaussianNB) else "alpha"
    check_estimator(
        LocaltuneSearchCV(
            estimator,
            {name: [0.1, 1.0]},
            n_trials=2,
            cv=2,
            executor="inprocess",
            error_score="raise",
        )
    )


def test_a_grid_gives_the_results_of_grid_search() -> None:
    grid = [0.1, 1.0, 10.0]
    ours = search(space={"C": tune.grid_search(grid)}, n_trials=1, return_train_score=True)
    ours.fit(X, Y)
    theirs = GridSearchCV(SVC(), {"C": grid}, cv=3, return_train_score=True).fit(X, Y)

    timed = {"mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time"}
    assert list(ours.cv_results_) == [*theirs.cv_results_, "training_iteration"]
    for key in theirs.cv_results_.keys() - timed - {"params"}:
        np.testing.assert_array_equal(ours.cv_results_[key], theirs.cv_results_[key], key)
        assert ours.cv_results_[key].dtype == theirs.cv_results_[key].dtype, key
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name in ("best_index_", "best_params_", "best_score_", "n_splits_", "multimetric_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, Y) == theirs.score(X, Y)


def test_candidates_run_in_processes_of_their_own_and_in_parallel(tmp_path: Path) -> None:
    found = search(executor=None, storage_path=str(tmp_path), name="run", n_trials=4).fit(X, Y)

    experiment = tune.ExperimentAnalysis(str(tmp_path / "run"))
    assert len(experiment.trials) == 4
    pids = {trial.last_result["pid"] for trial in experiment.trials}
    assert os.getpid() not in pids
    assert found.best_score_ > 0.9


def test_a_scheduler_stops_candidates_early() -> None:
    digits = load_digits(return_X_y=True)
    found = search(
        SGDClassifier(random_state=0),
        {"alpha": tune.loguniform(1e-6, 10)},
        n_trials=6,
        max_iters=6,
        scheduler=ASHAScheduler(max_t=6, grace_period=1, reduction_factor=2),
        executor=None,
    ).fit(*digits)

    rounds = found.cv_results_["training_iteration"]
    assert rounds.max() == 6 and rounds.min() < 6
    # Which candidates go on to the end depends on the order in which they come.
    best: Any = found.best_estimator_
    assert best.t_ == rounds[found.best_index_] * len(digits[0]) + 1


def test_a_clone_is_trained_with_its_own_parameters(tmp_path: Path) -> None:
    # Population Based Training gives a candidate another one's models and new parameters.
    domain = tune.loguniform(1e-6, 10)
    search(
        SGDClassifier(random_state=0),
        {"alpha": domain},
        n_trials=2,
        n_jobs=2,
        max_iters=6,
        scheduler=PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            quantile_fraction=0.5,
            hyperparam_mutations={"alpha": domain},
            synch=True,
        ),
        scoring={"accuracy": "accuracy", "alpha": alpha_of},
        refit="accuracy",
        executor=None,
        storage_path=str(tmp_path),
    ).fit(X, Y)

    texts = [file.read_text(encoding="utf-8") for file in tmp_path.rglob("result.json")]
    results = [json.loads(line) for text in texts for line in text.splitlines()]
    told = [result["config"]["alpha"] for result in results]
    assert len(set(told)) > 2
    assert [result["split2_test_alpha"] for result in results] == told


def alpha_of(estimator: Any, data: Any, target: Any) -> float:
    return float(estimator.alpha)


def test_equal_seeds_give_equal_results_with_any_number_of_jobs() -> None:
    first, second = (search(n_jobs=jobs, executor=None).fit(X, Y) for jobs in (1, 2))
    assert first.cv_results_["params"] == second.cv_results_["params"]
    assert first.best_params_ == second.best_params_


def test_a_search_can_be_fitted_again_cloned_and_pickled() -> None:
    one = search(search_alg="optuna", n_jobs=1)
    first = one.fit(X, Y).cv_results_["params"]
    assert one.fit(X, Y).cv_results_["params"] == first
    assert clone(one).fit(X, Y).cv_results_["params"] == first
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))


def test_parts_of_a_pipeline_are_named_as_in_scikit_learn() -> None:
    pipeline = make_pipeline(StandardScaler(), PCA(), SVC())
    space = {"pca__n_components": [1, 2, 3], "svc__C": tune.loguniform(0.1, 10)}
    found = search(pipeline, space).fit(X, Y)
    assert set(found.best_params_) == set(space)
    best: Any = found.best_estimator_
    assert best.named_steps["svc"].C > 0


def test_several_scores_need_one_that_decides() -> None:
    scoring = ["accuracy", "balanced_accuracy"]
    found = search(scoring=scoring, refit="balanced_accuracy").fit(X, Y)
    assert found.multimetric_
    assert set(found.scorer_) == set(scoring)
    assert found.cv_results_["rank_test_balanced_accuracy"][found.best_index_] == 1
    assert 0.9 < found.score(X, Y) <= 1
    with pytest.raises(ValueError, match="refit must be False, a callable, or the name"):
        search(scoring=scoring).fit(X, Y)


def test_a_callable_may_give_several_scores() -> None:
    def scores(estimator: Any, data: Any, target: Any) -> dict[str, float]:
        if estimator.C == 2.0:
            raise RuntimeError("no score")
        return {"accuracy": estimator.score(data, target), "minus_c": -estimator.C}

    space = {"C": tune.grid_search([1.0, 2.0, 3.0])}
    options = {"scoring": scores, "n_trials": 1, "error_score": -9.0}
    with pytest.warns(FitFailedWarning, match=r"3 of 9 fits failed, and their score is -9\.0"):
        found = search(space=space, refit="minus_c", **options).fit(X, Y)
    assert found.multimetric_
    assert found.best_params_ == {"C": 1.0}
    assert list(found.cv_results_["mean_test_minus_c"]) == [-1.0, -9.0, -3.0]
    assert found.score(X, Y) == -1.0
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match=r"one of .*'minus_c'"):
        search(space=space, **options).fit(X, Y)


def test_a_kernel_that_is_computed_before_is_split_in_rows_and_columns() -> None:
    grid = [0.1, 1.0]
    kernel = X @ X.T
    estimator = SVC(kernel="precomputed")
    ours = search(estimator, {"C": tune.grid_search(grid)}, n_trials=1).fit(kernel, Y)
    theirs = GridSearchCV(estimator, {"C": grid}, cv=3).fit(kernel, Y)
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


def test_without_refit_several_scores_have_no_best() -> None:
    found = search(scoring=["accuracy", "balanced_accuracy"], refit=False).fit(X, Y)
    for name in ("best_index_", "best_params_", "best_score_"):
        assert not hasattr(found, name)


def test_without_refit_nothing_can_be_predicted() -> None:
    found = search(refit=False).fit(X, Y)
    assert found.best_params_
    assert not hasattr(found, "best_estimator_")
    with pytest.raises(AttributeError):
        found.predict(X)


def test_a_callable_chooses_the_best() -> None:
    found = search(refit=lambda table: int(np.argmin(table["mean_test_score"]))).fit(X, Y)
    assert found.best_index_ == int(np.argmin(found.cv_results_["mean_test_score"]))
    assert found.best_params_ == found.cv_results_["params"][found.best_index_]


def test_groups_and_weights_arrive_fold_by_fold() -> None:
    groups = np.arange(len(X)) % 5
    found = search(cv=GroupKFold(5)).fit(X, Y, groups=groups, sample_weight=np.ones(len(X)))
    assert found.n_splits_ == 5
    plain = search(cv=GroupKFold(5)).fit(X, Y, groups=groups)
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    with pytest.raises(ValueError, match=r"[Ss]ample"):
        search(error_score="raise").fit(X, Y, sample_weight=np.ones(3))


# -- bad input ------------------------------------------------------------------------------------


def test_a_fit_that_fails_has_the_error_score() -> None:
    with pytest.warns(FitFailedWarning, match=r"3 of 6 fits failed, and their score is nan"):
        found = search(space={"C": tune.grid_search([-1.0, 1.0])}, n_trials=1).fit(X, Y)
    assert found.best_params_ == {"C": 1.0}
    assert list(found.cv_results_["rank_test_score"]) == [2, 1]


def test_all_fits_failed_is_an_error_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"All the 3 fits failed(.|\n)*'C' parameter"):
        search(space={"C": [-1.0]}, n_trials=1).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {}}, "space must be a dict"),
        ({"space": {"gama": [1]}}, "Invalid parameter 'gama'"),
        ({"n_jobs": 0}, "n_jobs must be None"),
        ({"time_budget_s": 1e-9}, "was over before any candidate had a score"),
        ({"n_trials": 0}, "n_trials must be at least 1, or None, but got 0"),
        ({"max_iters": 3}, "max_iters needs an estimator with partial_fit"),
        ({"scheduler": "asha"}, "Set max_iters"),
        ({"estimator": SGDClassifier(), "max_iters": 0, "space": {"alpha": [1]}}, "at least 1"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(**options).fit(X, Y)


class Crashing(SVC):  # type: ignore[misc]
    """An SVC that fails with some parameters, and whose worker dies with others."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.C == 2.0:
            raise KeyError("no fit")
        if self.C == 3.0:
            os._exit(3)
        return super().fit(X, y, sample_weight)


def test_no_message_names_a_directory_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    options: dict[str, Any] = {"executor": None, "n_trials": None, "verbose": 1}
    with pytest.warns(FitFailedWarning, match="3 of 6 fits failed") as found:
        search(Crashing(), {"C": [1.0, 3.0]}, **options).fit(X, Y)
    with pytest.raises(KeyError, match="no fit") as error:
        search(Crashing(), {"C": [2.0]}, error_score="raise", **options).fit(X, Y)

    printed = capfd.readouterr().out
    assert "exit code 3" in printed
    for text in (printed, str(error.value), *(str(each.message) for each in found)):
        assert str(tmp_path) not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        (1.0, TypeError, r"refit must return the index of a candidate"),
        (3, IndexError, r"refit returned 3, but cv_results_ has 3 candidates"),
        (-1, IndexError, r"refit returned -1"),
    ],
)
def test_a_callable_must_choose_one_of_the_candidates(
    chosen: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        search(refit=lambda table: chosen).fit(X, Y)
