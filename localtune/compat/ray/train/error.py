"""Stands for ``ray.train.error``."""

from localtune.compat.misuse import SessionMisuseError as SessionMisuseError
