"""Executors, which run the workers of trials, and their parts."""

from localtune._lazy import lazy_names

# Its modules alone.
__all__: list[str] = []

__getattr__ = lazy_names(__name__, {})
