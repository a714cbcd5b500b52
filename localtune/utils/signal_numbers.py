"""Holds the numbers of signals that not every system defines."""

from __future__ import annotations

import signal

# Windows has no SIGKILL; SIGTERM ends a process there at once.
SIGKILL = int(getattr(signal, "SIGKILL", signal.SIGTERM))
