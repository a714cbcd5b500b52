"""Small helpers, under the path that they have in Ray Tune."""

from localtune.search.warm_start import validate_warmstart as validate_warmstart
from localtune.trainable.util import validate_save_restore as validate_save_restore
from localtune.utils.dicts import deep_update as deep_update
from localtune.utils.dicts import flatten_dict as flatten_dict
from localtune.utils.dicts import merge_dicts as merge_dicts
from localtune.utils.dicts import unflatten_dict as unflatten_dict
from localtune.utils.dicts import unflatten_list_dict as unflatten_list_dict
from localtune.utils.dicts import unflattened_lookup as unflattened_lookup
from localtune.utils.gpu import wait_for_gpu as wait_for_gpu
from localtune.utils.json_encode import SafeJsonEncoder as SafeFallbackEncoder  # noqa: F401
from localtune.utils.retry import retry_fn as retry_fn
from localtune.utils.serialization import diagnose_serialization as diagnose_serialization
from localtune.utils.tee import Tee as Tee
from localtune.utils.timing import date_str as date_str
from localtune.utils.timing import warn_if_slow as warn_if_slow
from localtune.utils.util_monitor import UtilMonitor as UtilMonitor
