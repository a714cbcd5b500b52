"""Executors, which run the workers of trials, and their parts."""

from localtune._lazy import lazy_names

__getattr__ = lazy_names(__name__, {})
