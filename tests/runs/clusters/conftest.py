"""Leaves out what needs Dask."""

from __future__ import annotations

from importlib.util import find_spec

_WITH_DASK = ["test_clocks.py", "test_cut_off.py", "test_waiting.py"]
collect_ignore = [] if find_spec("distributed") else _WITH_DASK
