"""The engine for Ray: see ``engine.py``."""
