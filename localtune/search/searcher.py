"""Searcher and the limit of its concurrency, under the path that they have in Ray Tune."""

from localtune.search.base import Searcher as Searcher
from localtune.search.concurrency_limiter import ConcurrencyLimiter as ConcurrencyLimiter
