"""What an experiment leaves on disk."""
