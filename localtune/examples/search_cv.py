"""A search estimator for scikit-learn, with a scheduler that stops bad candidates.

python -m localtune.examples.search_cv
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

import localtune as tune
from localtune.examples._data import is_smoke
from localtune.integration.sklearn import LocaltuneSearchCV


def main() -> None:
    smoke = is_smoke(__doc__)
    images, digits = load_digits(return_X_y=True)
    search = LocaltuneSearchCV(
        SGDClassifier(random_state=0),
        {
            "alpha": tune.loguniform(1e-6, 10.0),
            "penalty": ["l1", "l2"],
            "average": [True, False],
        },
        n_trials=4 if smoke else 30,
        max_iters=4 if smoke else 27,
        scheduler="asha",
        cv=3,
        random_state=0,
        verbose=1,
    )
    search.fit(images / 16.0, digits)
    print(f"\nBest accuracy {search.best_score_:.3f} with {search.best_params_}")
    print("Rounds of training:", *search.cv_results_["training_iteration"])


if __name__ == "__main__":
    main()
