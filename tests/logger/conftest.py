"""What tests of loggers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localtune.utils import open_files


@pytest.fixture
def few_open_files() -> Iterator[None]:
    """Allows this process so few open files that a logger keeps 64 of them."""
    limits = open_files.limits()
    assert limits is not None
    assert open_files.set_soft_limit(64 * open_files.PER_WORKER)
    yield
    open_files.set_soft_limit(limits[0])
