"""Worker processes: how they start, how they are watched, how they end."""
