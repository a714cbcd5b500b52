"""What tests of ``ray`` itself share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

import localtune.compat.ray.exceptions
import localtune.compat.ray.worker

# The environment for it is not made everywhere: see scripts/test --extra heavy.
collect_ignore = [] if find_spec("transformers") else ["test_transformers.py"]


@pytest.fixture
def ray() -> Iterator[Any]:
    """The module that stands for ``ray``; its cluster ends with the test."""
    yield localtune.compat.ray
    localtune.compat.ray.shutdown()
