"""The candidates of a search are those that scikit-learn's own searches have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import localtune as tune
from localtune.integration.sklearn import LocaltuneSearchCV
from localtune.integration.sklearn.spaces import candidates_of, check_space, domains_of

X, Y = load_iris(return_X_y=True)
TIMED = {f"{part}_{key}_time" for part in ("mean", "std") for key in ("fit", "score")}


def search(estimator: Any, space: Any, **options: Any) -> LocaltuneSearchCV:
    options = {"cv": 2, "executor": "inprocess", "random_state": 0, **options}
    return LocaltuneSearchCV(estimator, space, **options)


def assert_same_results(ours: Any, theirs: Any) -> None:
    """Checks that two fitted searches have the same table of results, and the same best."""
    assert list(ours.cv_results_) == [*theirs.cv_results_, "training_iteration"]
    for key in theirs.cv_results_.keys() - TIMED - {"params"}:
        np.testing.assert_array_equal(ours.cv_results_[key], theirs.cv_results_[key], key)
        if isinstance(theirs.cv_results_[key], np.ma.MaskedArray):
            np.testing.assert_array_equal(ours.cv_results_[key].mask, theirs.cv_results_[key].mask)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.best_params_ == theirs.best_params_
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize(
    "space",
    [
        {"C": stats.loguniform(0.1, 10), "kernel": ["linear", "rbf"]},
        [{"C": stats.uniform(1, 2)}, {"kernel": ["poly"], "degree": stats.randint(2, 5)}],
        {"C": np.logspace(-1, 1, 5), "kernel": ("linear", "rbf")},
    ],
    ids=["distributions", "list of spaces", "lists"],
)
def test_draws_are_those_of_randomized_search(space: Any) -> None:
    ours = search(SVC(), space, n_trials=4).fit(X, Y)
    assert_same_results(
        ours, RandomizedSearchCV(SVC(), space, n_iter=4, cv=2, random_state=0).fit(X, Y)
    )


def test_a_space_of_lists_is_a_grid_that_runs_once() -> None:
    space = [{"C": [1, 2.5], "kernel": ["rbf", "linear"]}, {"kernel": ["poly"], "degree": [2, 3]}]
    theirs = GridSearchCV(SVC(), space, cv=2).fit(X, Y)
    for given, n_trials in ((space, None), (space, 50), (ParameterGrid(space), None)):
        assert_same_results(search(SVC(), given, n_trials=n_trials).fit(X, Y), theirs)


def test_a_grid_of_localtune_runs_once_in_the_same_order() -> None:
    space = {"C": tune.grid_search([1, 2]), "gamma": tune.grid_search([0.1, 1]), "kernel": "rbf"}
    expected = list(ParameterGrid({"C": [1, 2], "gamma": [0.1, 1], "kernel": ["rbf"]}))
    assert candidates_of([space], None, 0) == expected
    assert candidates_of([space], 10, 0) == expected


def test_each_draw_of_a_distribution_is_tried_with_the_whole_grid() -> None:
    space = {"C": tune.uniform(0, 1), "kernel": tune.grid_search(["linear", "rbf"])}
    drawn = candidates_of([space], 3, 0)
    assert [each["kernel"] for each in drawn] == ["linear", "rbf"] * 3
    assert drawn == candidates_of([space], 3, 0)
    assert len(candidates_of([space], None, 0)) == 20
    listed = candidates_of([{**space, "C": [1, 2, 3]}], 2, 0)
    assert len({each["C"] for each in listed}) == 2 and len(listed) == 4


def test_values_may_be_computed_from_others() -> None:
    space = {"C": stats.uniform(1, 1), "gamma": tune.sample_from(lambda config: config["C"] * 2)}
    assert all(each["gamma"] == each["C"] * 2 for each in candidates_of([space], 3, 0))


def test_parameters_may_be_estimators_and_sequences() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("fit", LogisticRegression())])
    space = [
        {"scale": [MinMaxScaler(), "passthrough"], "fit__C": [1.0]},
        {
            "fit": [MLPClassifier(solver="lbfgs", max_iter=5, random_state=0)],
            "fit__hidden_layer_sizes": [(4,), (4, 2)],
        },
    ]
    with pytest.warns(match="converge"):
        ours = search(pipeline, space).fit(X, Y)
        theirs = GridSearchCV(pipeline, space, cv=2).fit(X, Y)
    column = ours.cv_results_["param_fit__hidden_layer_sizes"]
    assert list(column.mask) == [True, True, False, False]
    assert list(column[2:]) == [(4,), (4, 2)]
    np.testing.assert_array_equal(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"]
    )


# -- with a search_alg ----------------------------------------------------------------------------


def test_a_searcher_gets_domains_for_distributions_and_lists() -> None:
    space = {
        "a": stats.uniform(1, 2),
        "b": stats.loguniform(0.1, 10),
        "c": stats.randint(2, 5),
        "d": stats.norm(1, 0.5),
        "e": np.array([1, 2]),
        "f": 3,
    }
    assert {name: repr(each) for name, each in domains_of(space).items()} == {
        "a": repr(tune.uniform(1.0, 3.0)),
        "b": repr(tune.loguniform(0.1, 10.0)),
        "c": repr(tune.randint(2, 5)),
        "d": repr(tune.randn(1.0, 0.5)),
        "e": repr(tune.choice([1, 2])),
        "f": "3",
    }


def test_a_searcher_suggests_from_the_space() -> None:
    space = {"C": stats.loguniform(0.1, 10), "kernel": ["linear", "rbf"]}
    found = search(SVC(), space, search_alg="optuna", n_jobs=1, n_trials=3).fit(X, Y)
    assert len(found.cv_results_["params"]) == 3
    assert all(0.1 <= each["C"] <= 10 for each in found.cv_results_["params"])


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ([], {}, "space must be a dict .* or a list of such dicts"),
        ([{"C": [1]}, {}], {}, "with at least one entry"),
        ("C", {}, "space must be a dict"),
        ({"C": []}, {}, r"space\['C'\] has no values"),
        ({"C": {1, 2}}, {}, r"space\['C'\] is a set"),
        ({"C": np.ones((2, 2))}, {}, r"space\['C'\] must have one dimension, but has 2"),
        ({"c": [1]}, {}, r"Invalid parameter 'c'.*Did you mean 'C'"),
        ([{"C": [1]}, {"gama": [1]}], {}, r"Invalid parameter 'gama'.*Did you mean 'gamma'"),
        ([{"C": [1]}, {"gamma": [1]}], {"search_alg": "optuna"}, "search_alg needs one space"),
        ({"C": tune.grid_search([1])}, {"search_alg": "optuna"}, r"space\['C'\] is a grid"),
        ({"C": stats.gamma(2)}, {"search_alg": "optuna"}, "uniform, loguniform, randint and norm"),
        ({"C": stats.loguniform(1, 2, loc=1)}, {"search_alg": "optuna"}, "cannot choose values"),
        ({"C": [1]}, {"error_score": "nan"}, "error_score must be 'raise' or a number"),
    ],
)
def test_a_bad_space_is_refused(space: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(SVC(), space, **options).fit(X, Y)


@pytest.mark.parametrize("estimator", [SVC, object()], ids=["class", "object"])
def test_what_is_no_estimator_is_refused(estimator: Any) -> None:
    with pytest.raises(TypeError, match="estimator must be an object with fit and get_params"):
        search(estimator, {"C": [1]}).fit(X, Y)


def test_a_misspelt_parameter_of_a_part_is_refused() -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("svc", SVC())])
    with pytest.raises(ValueError, match=r"Invalid parameter 'svc__gama'.*Did you mean 'svc__gam"):
        check_space({"svc__gama": [1]}, pipeline)
    check_space({"svc": [LogisticRegression()], "svc__l1_ratio": [0.5]}, pipeline)
