"""Provides small helpers, one subject per file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

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
    "UtilMonitor": "utils.util_monitor",
    "date_str": "utils.timing",
    "deep_update": "utils.dicts",
    "diagnose_serialization": "utils.serialization",
    "flatten_dict": "utils.dicts",
    "merge_dicts": "utils.dicts",
    "unflatten_dict": "utils.dicts",
    "unflatten_list_dict": "utils.dicts",
    "unflattened_lookup": "utils.dicts",
    "validate_save_restore": "trainable.util",
    "wait_for_gpu": "utils.gpu",
    "warn_if_slow": "utils.timing",
}

__all__ = sorted(_MODULES)


__getattr__ = lazy_names(__name__, _MODULES)
