"""Leaves out what belongs to the environment with Ray and Dask, also because it takes long."""

from __future__ import annotations

from importlib.util import find_spec

_IN_CLUSTERS = ["test_clocks.py", "test_cut_off.py", "test_survival.py", "test_waiting.py"]
collect_ignore = [] if find_spec("distributed") else _IN_CLUSTERS
