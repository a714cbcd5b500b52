"""The trainable of ``imports_in_body.py`` that imports at the top of its module."""

from __future__ import annotations

from typing import Any

from sklearn.svm import SVC

import localtune as tune


def imports_at_top(config: dict[str, Any]) -> None:
    """Reports once."""
    tune.report({"score": SVC(C=config["x"]).C})
