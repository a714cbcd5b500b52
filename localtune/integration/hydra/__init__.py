"""A launcher for Hydra: ``hydra/launcher=localtune``. Needs the extra ``hydra``."""
