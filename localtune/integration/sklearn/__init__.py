"""LocaltuneSearchCV: a search estimator for scikit-learn. Needs the extra ``sklearn``."""

from localtune.integration.sklearn.search_cv import LocaltuneSearchCV

__all__ = ["LocaltuneSearchCV"]
