"""Leaves out the tests of engines whose software is not installed."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("distributed") else ["test_dask.py", "test_dask_session.py"]
