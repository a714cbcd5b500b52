"""Stands for ``ray.worker`` of earlier releases."""

from __future__ import annotations

from localtune.compat.getting import get as get
from localtune.compat.getting import put as put
from localtune.compat.getting import wait as wait
from localtune.compat.initialization import init as init
from localtune.compat.initialization import shutdown as shutdown
from localtune.compat.runtime_context import get_gpu_ids as get_gpu_ids
from localtune.compat.runtime_context import get_runtime_context

global_worker = get_runtime_context().worker
