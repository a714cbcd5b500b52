"""Stands for ``ray.tune.session``: the functions of a trial."""

from __future__ import annotations

from typing import Any

import localtune


def __getattr__(name: str) -> Any:
    return getattr(localtune, name)
