"""Python processes whose clock is off."""

from __future__ import annotations

import os
from pathlib import Path

HOUR_S = 3600.0
_OFF_S = "LOCALTUNE_TEST_OFF_S"
# Python loads this file at its start.
_SOURCE = f"""
import os, time

def off(clock, unit):
    return lambda: clock() + type(clock())(float(os.environ["{_OFF_S}"]) * unit)

if "{_OFF_S}" in os.environ:
    time.time, time.time_ns = off(time.time, 1), off(time.time_ns, 10**9)
"""


def clock_that_is_off(off_s: float, directory: Path) -> dict[str, str]:
    """Returns environment variables with which the clock of a Python process is off.

    Args:
        off_s: How far, in seconds.
        directory: Gets the module that does it.
    """
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(_SOURCE)
    path = [str(directory), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), _OFF_S: str(off_s)}


def off_here_s() -> float:
    """Returns how far the clock of this process is off, in seconds."""
    return float(os.environ.get(_OFF_S, 0))
