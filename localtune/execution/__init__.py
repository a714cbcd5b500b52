"""Executors, which run the workers of trials, and their parts."""
