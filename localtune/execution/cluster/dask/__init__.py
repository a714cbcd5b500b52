"""The engine for Dask: see ``engine.py``."""
