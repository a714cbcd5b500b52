"""Small helpers, one subject per file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.trainable.util import validate_save_restore as validate_save_restore
    from localtune.utils.dicts import deep_update as deep_update
    from localtune.utils.dicts import flatten_dict as flatten_dict
    from localtune.utils.dicts import merge_dicts as merge_dicts
    from localtune.utils.dicts import unflatten_dict as unflatten_dict
    from localtune.utils.dicts import unflatten_list_dict as unflatten_list_dict
    from localtune.utils.dicts import unflattened_lookup as unflattened_lookup
    from localtune.utils.gpu import wait_for_gpu as wait_for_gpu
    from localtune.utils.serialization import diagnose_serialization as diagnose_serialization
    from localtune.utils.timing import date_str as date_str
    from localtune.utils.timing import warn_if_slow as warn_if_slow
    from localtune.utils.util_monitor import UtilMonitor as UtilMonitor

_MODULES = {
    "UtilMonitor": "localtune.utils.util_monitor",
    "date_str": "localtune.utils.timing",
    "deep_update": "localtune.utils.dicts",
    "diagnose_serialization": "localtune.utils.serialization",
    "flatten_dict": "localtune.utils.dicts",
    "merge_dicts": "localtune.utils.dicts",
    "unflatten_dict": "localtune.utils.dicts",
    "unflatten_list_dict": "localtune.utils.dicts",
    "unflattened_lookup": "localtune.utils.dicts",
    "validate_save_restore": "localtune.trainable.util",
    "wait_for_gpu": "localtune.utils.gpu",
    "warn_if_slow": "localtune.utils.timing",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
