"""Starts, watches and ends worker processes."""
