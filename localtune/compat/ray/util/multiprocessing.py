"""Stands for ``ray.util.multiprocessing``: the pool of Python itself."""

from __future__ import annotations

from multiprocessing import TimeoutError as TimeoutError
from multiprocessing.pool import AsyncResult as AsyncResult

from localtune.compat.pool import Pool as Pool
