"""Where trials run: executors and what they are made of."""
