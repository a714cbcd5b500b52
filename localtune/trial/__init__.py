"""Holds the record of one trial: its status, its checkpoints and its statistics."""
