"""Leaves out the tests of engines whose software is not installed."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = []
if not find_spec("distributed"):
    collect_ignore += ["dask/test_engine.py", "dask/test_session.py"]
if not find_spec("ray"):
    collect_ignore += ["ray/test_engine.py"]
