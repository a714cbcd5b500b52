"""The data and the option ``--smoke`` of the examples."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any


def is_smoke(description: str | None) -> bool:
    """Returns whether the program was started with ``--smoke``."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="the smallest form")
    return bool(parser.parse_args().smoke)


@contextlib.contextmanager
def scratch_storage() -> Iterator[str]:
    """Yields a temporary directory for a run. A real program would use a permanent path."""
    with tempfile.TemporaryDirectory(prefix="localtune-example-") as directory:
        yield directory


def breast_cancer() -> tuple[Any, Any, Any, Any]:
    """Loads 569 tumours with 30 measurements each.

    Returns:
        Training data, validation data, training labels and validation labels.
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    train_x, valid_x, train_y, valid_y = train_test_split(x, y, stratify=y, random_state=0)
    scaler = StandardScaler().fit(train_x)
    return scaler.transform(train_x), scaler.transform(valid_x), train_y, valid_y
