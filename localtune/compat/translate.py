"""Translations of old names into today's."""

from __future__ import annotations

import os
from typing import Any

from localtune.old_names.use import translations

_Call = tuple[tuple[Any, ...], dict[str, Any]]


def register() -> None:
    """Registers all translations in this process."""
    translations.update(
        {
            "tune.report(loss=x)": _report,
            "tune.run()": _with_storage_path,
            "RunConfig()": _with_storage_path,
            "Experiment()": _with_storage_path,
        }
    )


def _report(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
    metrics = dict(kwargs)
    more = {name: metrics.pop(name) for name in ("checkpoint",) if name in metrics}
    return (metrics,), more


def _with_storage_path(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
    local_dir = kwargs.pop("local_dir")
    if local_dir is not None:
        kwargs.setdefault("storage_path", os.path.abspath(os.path.expanduser(local_dir)))
    return args, kwargs
