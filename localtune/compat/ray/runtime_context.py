"""Stands for ``ray.runtime_context``."""

from __future__ import annotations

from localtune.compat.runtime_context import RuntimeContext as RuntimeContext
from localtune.compat.runtime_context import get_runtime_context as get_runtime_context
