"""Provides a date for names, and a warning for slow blocks of code."""

from __future__ import annotations

import os
import time
from types import TracebackType

from localtune.result import DATE_FORMAT
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


def date_str() -> str:
    """Returns the local time in a form for names: ``2030-12-31_23-59-59``."""
    return time.strftime(DATE_FORMAT)


class warn_if_slow:  # In lower case, since scripts import this name.
    """Logs a warning if a ``with`` block takes long.

    Args:
        name: Name of the work in the block, for the warning.
        threshold: Seconds; None is the environment variable ``TUNE_WARN_THRESHOLD_S``, or 0.5.
        message: Text of the warning, with ``{name}`` and ``{duration}``.
        disable: Whether to log nothing.

    Example:
        >>> with warn_if_slow("loading"):
        ...     pass
    """

    def __init__(
        self,
        name: str,
        threshold: float | None = None,
        message: str | None = None,
        disable: bool = False,
    ) -> None:
        self._name = name
        if threshold is None:
            threshold = float(os.environ.get("TUNE_WARN_THRESHOLD_S", 0.5))
        self._threshold_s = threshold
        self._message = message or "`{name}` took {duration:.3f} s, which may hold up the run."
        self._disable = disable

    def __enter__(self) -> warn_if_slow:
        self._start_s = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        duration_s = time.monotonic() - self._start_s
        if duration_s > self._threshold_s and not self._disable:
            logger.warning(self._message.format(name=self._name, duration=duration_s))
