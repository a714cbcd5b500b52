"""The ways to start worker processes, and which of them work on this machine."""

from __future__ import annotations

import os
import sys

from localtune.execution.process.launcher import HAS_GROUPS, ExitHandler, Launcher, Program
from localtune.execution.process.waiter import Waiter

# template: forked from a warm process (Linux). spawn: a fresh interpreter. portable: a fresh
# interpreter that needs no more than every platform has (no process groups, no adopted orphans).
START_METHODS = ("template", "spawn", "portable")


def make_launcher(
    start_method: str | None, program: Program, waiter: Waiter, on_exit: ExitHandler
) -> Launcher:
    """Makes the launcher for a start method.

    Args:
        start_method: One of :data:`START_METHODS`; None is the best that works on this machine.
        program: The program of the workers.
        waiter: See :class:`Launcher`.
        on_exit: See :class:`Launcher`.

    Raises:
        ValueError: for a start method that does not work on this machine.
    """
    reason = why_no_templates()
    if start_method == "template" and reason:
        raise ValueError(f"start_method='template' does not work here: {reason}. Use 'spawn'.")
    # Only the launcher in use is imported.
    if start_method == "portable" or reason:
        from localtune.execution.process.spawn_launcher import SpawnLauncher

        return SpawnLauncher(
            program, waiter, on_exit, use_process_groups=start_method != "portable" and HAS_GROUPS
        )
    from localtune.execution.process.fork_launcher import ForkLauncher

    return ForkLauncher(program, waiter, on_exit, is_warm=start_method != "spawn")


def why_no_templates() -> str:
    """Returns why templates do not work on this machine, "" if they do."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux, and this is {sys.platform}"
    if not _has_pidfd():
        return "the kernel offers no process descriptors (pidfd_open)"
    return ""


def _has_pidfd() -> bool:
    """Returns whether the platform has process descriptors."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
