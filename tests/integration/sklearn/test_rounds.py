"""Estimators that are trained in rounds reach what one call of fit reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from localtune.integration.sklearn import LocaltuneSearchCV
from localtune.integration.sklearn.rounds import share_of, total_of, train_round, way_of
from localtune.schedulers import ASHAScheduler

X, Y = load_iris(return_X_y=True)


def search(estimator: Any, space: Any, **options: Any) -> LocaltuneSearchCV:
    options = {"cv": 2, "n_jobs": 1, "executor": "inprocess", "random_state": 0, **options}
    return LocaltuneSearchCV(estimator, space, **options)


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(n_estimators=7, random_state=0),
        make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=7, random_state=0)),
        BaggingClassifier(n_estimators=7, random_state=0),
        HistGradientBoostingClassifier(max_iter=7, random_state=0, min_samples_leaf=5),
    ],
    ids=lambda estimator: way_of(estimator) or "",
)
def test_an_ensemble_grows_to_the_one_of_a_single_fit(estimator: Any) -> None:
    once, rounds = clone(estimator).fit(X, Y), clone(estimator)
    total = total_of(rounds)
    for number in range(1, 4):
        train_round(rounds, number, 3, total, (X, Y), {}, None)
        part = rounds[-1] if isinstance(rounds, Pipeline) else rounds
        assert getattr(part, str(way_of(part))) == [3, 5, 7][number - 1]
    np.testing.assert_allclose(rounds.predict_proba(X), once.predict_proba(X))


def test_a_solver_goes_on_where_it_was() -> None:
    # Only the last of the rounds converges, and only it could warn.
    scaled = StandardScaler().fit_transform(X)
    rounds = LogisticRegression(max_iter=60)
    for number in range(1, 11):
        train_round(rounds, number, 10, 60, (scaled, Y), {}, None)
    assert rounds.max_iter == 6
    expected = LogisticRegression().fit(scaled, Y)
    np.testing.assert_allclose(rounds.coef_, expected.coef_, atol=0.01)
    with pytest.warns(ConvergenceWarning):
        train_round(LogisticRegression(max_iter=2), 2, 2, 2, (X, Y), {}, None)


def test_more_rounds_than_members_train_nothing_twice() -> None:
    assert [share_of(2, number, 5) for number in range(6)] == [0, 1, 1, 2, 2, 2]
    forest = RandomForestClassifier(n_estimators=2, random_state=0)
    for number in range(1, 6):
        train_round(forest, number, 5, 2, (X, Y), {}, None)
    assert len(forest.estimators_) == 2


def test_a_search_in_rounds_ends_like_one_without() -> None:
    forest = RandomForestClassifier(random_state=0)
    space = {"n_estimators": [4, 9], "max_depth": [1, 3]}
    ours = search(forest, space, max_iters=3).fit(X, Y)
    theirs = GridSearchCV(forest, space, cv=2).fit(X, Y)
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )
    assert list(ours.cv_results_["training_iteration"]) == [3] * 4
    best: Any = ours.best_estimator_
    assert best.get_params() == theirs.best_estimator_.get_params()
    np.testing.assert_array_equal(best.predict_proba(X), theirs.predict_proba(X))


def test_a_candidate_that_was_stopped_is_trained_as_far_on_all_samples() -> None:
    scheduler = ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2)
    found = search(
        RandomForestClassifier(n_estimators=8, random_state=0),
        {"max_depth": [3, 1]},
        max_iters=4,
        scheduler=scheduler,
        refit=lambda table: int(np.argmin(table["training_iteration"])),
    ).fit(X, Y)
    assert list(found.cv_results_["training_iteration"]) == [4, 1]
    best: Any = found.best_estimator_
    assert len(best.estimators_) == 2 and best.max_depth == 1 and not best.warm_start


def test_of_a_pipeline_the_last_step_is_trained_in_rounds(tmp_path: Path) -> None:
    steps: list[Any] = [("scale", StandardScaler()), ("sgd", SGDClassifier(random_state=0))]
    weights = np.linspace(0, 1, len(X))
    found = search(
        Pipeline(steps, memory=str(tmp_path)), {"sgd__alpha": [0.001, 0.1]}, max_iters=3
    ).fit(X, Y, sgd__sample_weight=weights)

    scaled = StandardScaler().fit_transform(X)
    alone = SGDClassifier(random_state=0, alpha=found.best_params_["sgd__alpha"])
    for _ in range(3):
        alone.partial_fit(scaled, Y, classes=np.unique(Y), sample_weight=weights)
    best: Any = found.best_estimator_
    np.testing.assert_array_equal(best[-1].coef_, alone.coef_)
    np.testing.assert_array_equal(found.predict(X), alone.predict(scaled))


def test_each_candidate_may_have_another_last_step() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", SVC())])
    space = [
        {"fit": [SGDClassifier(random_state=0)], "fit__alpha": [0.01]},
        {"fit": [RandomForestClassifier(random_state=0)], "fit__n_estimators": [5]},
    ]
    found = search(pipeline, space, max_iters=2).fit(X, Y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("estimator", "space", "fit_params", "message"),
    [
        (Ridge(), {"alpha": [1]}, {}, r"but Ridge\(\) has neither"),
        (make_pipeline(StandardScaler(), SVC()), {"svc__C": [1]}, {}, r"but SVC\(\) has neither"),
        (
            make_pipeline(StandardScaler(), SGDClassifier()),
            {"sgdclassifier__alpha": [1]},
            {"sample_weight": np.ones(len(X))},
            "must name its step, as in sgdclassifier__sample_weight, but got 'sample_weight'",
        ),
    ],
    ids=["no rounds", "no rounds in the last step", "argument without step"],
)
def test_what_cannot_be_trained_in_rounds_is_refused(
    estimator: Any, space: dict[str, Any], fit_params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        search(estimator, space, max_iters=2).fit(X, Y, **fit_params)
