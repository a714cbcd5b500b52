"""Leaves out the runs on clusters of Dask where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

_ON_DASK = ["test_clocks.py", "test_cut_off.py", "test_waiting.py"]
collect_ignore = [] if find_spec("distributed") else _ON_DASK
