"""Integrations with other libraries, one module each; importing a module needs its library."""

from localtune._lazy import lazy_names

# Its modules alone.
__all__: list[str] = []

__getattr__ = lazy_names(__name__, {})
