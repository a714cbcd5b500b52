"""Computes facts that each result contains: the date and the host name."""

from __future__ import annotations

import os
import time

from localtune.result import DATE_FORMAT

# Set in the environment of a worker whose machine is known by another address.
NODE_IP_VARIABLE = "LOCALTUNE_NODE_IP"

# (second, its date) of the latest result. Formatting a date costs more than all other entries.
_latest_date: tuple[int, str] = (0, "")
_known_hostname = ""


def date_of(seconds: int) -> str:
    """Formats a time.

    Args:
        seconds: Seconds since the Unix epoch.

    Returns:
        Local date and time in ``DATE_FORMAT``.
    """
    global _latest_date
    latest_seconds, date = _latest_date
    if seconds != latest_seconds:
        date = time.strftime(DATE_FORMAT, time.localtime(seconds))
        _latest_date = (seconds, date)
    return date


def node_ip() -> str:
    """Returns the address of this machine: the local one unless an executor has set another."""
    return os.environ.get(NODE_IP_VARIABLE, "127.0.0.1")


def hostname() -> str:
    """Returns the name of this machine in its network."""
    global _known_hostname
    if not _known_hostname:
        if hasattr(os, "uname"):
            _known_hostname = os.uname().nodename
        else:
            import platform

            _known_hostname = platform.node()
    return _known_hostname
