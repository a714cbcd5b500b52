"""The rows of the table of old names, by subject."""
