"""Configurations that users pass to a run."""
