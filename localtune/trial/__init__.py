"""The record of one trial: its status, its checkpoints, its statistics."""
