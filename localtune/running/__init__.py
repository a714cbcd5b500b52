"""From arguments to a run."""
