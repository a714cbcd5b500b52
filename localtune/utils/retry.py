"""retry_fn: calls a function until it succeeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from localtune.utils.messages import get_logger

logger = get_logger(__name__)


def retry_fn(
    fn: Callable[[], Any],
    exception_type: type[Exception] | tuple[type[Exception], ...] = Exception,
    num_retries: int = 3,
    sleep_time: float = 1,
    timeout: float | None = None,
) -> bool:
    """Calls a function until it succeeds.

    Args:
        fn: Function without arguments.
        exception_type: Errors after which it is called again; others are raised.
        num_retries: Largest number of calls.
        sleep_time: Seconds between two calls.
        timeout: Seconds after which no further call is made. A call that hangs is not ended.

    Returns:
        Whether a call succeeded. Errors of failed calls are logged.

    Example:
        >>> retry_fn(lambda: 1 / 0, ZeroDivisionError, num_retries=2, sleep_time=0)
        False
    """
    end = None if timeout is None else time.monotonic() + timeout
    for attempt in range(max(num_retries, 1)):
        if attempt:
            if end is not None and time.monotonic() + sleep_time > end:
                break
            time.sleep(sleep_time)
        try:
            fn()
        except exception_type as error:
            logger.warning("Call %d of %d failed: %s", attempt + 1, num_retries, error)
        else:
            return True
    return False
