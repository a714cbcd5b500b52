"""The release of Ray whose names localtune.compat has; libraries compare it."""

RAY_VERSION = "2.45.0"
