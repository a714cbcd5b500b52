"""Shares one machine between the sweeps of a user or of a group."""
