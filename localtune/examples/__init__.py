"""Programs to run and to read: ``python -m localtune.examples.digits``."""
