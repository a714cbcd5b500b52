"""Kills a process at a chosen point of its writing and talking. For tests only.

Each write and each message of localtune is a point, or several: before it, in the midst of it,
after it. ``arm(role)`` counts them; with ``CRASH_AT=<role>:<n>`` in the environment the n-th one
kills the process. With ``CRASH_HOW=full`` the disk is full for it from then on: the kernel refuses
to let any file grow. Without ``CRASH_AT``, nothing but counting happens.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import Any

from localtune.controller import recorder
from localtune.execution.process import outbox
from localtune.logger import append_file, history_file
from localtune.storage import experiment_db, trial_files
from localtune.trainable import saving
from localtune.trial import checkpoint_dirs, own_files
from localtune.worker import pipe

_count = 0
_crash_at = 0
_once = ""


def arm(role: str) -> None:
    """Patches localtune in this process.

    Args:
        role: ``"parent"`` or ``"worker"``: which of the two the number in ``CRASH_AT`` means.
    """
    global _crash_at, _once
    wanted, _, number = os.environ.get("CRASH_AT", ":0").partition(":")
    _crash_at = int(number) if wanted == role else 0
    _once = os.environ.get("CRASH_ONCE", "")
    if role == "parent":
        # Which results wait for a transaction depends on time, and so would the points: none waits.
        recorder.INTERVAL_S = recorder.SYNC_INTERVAL_S = recorder._MOST_SYNC_INTERVAL_S = 0.0
        _surround(experiment_db.ExperimentDB, "_write")
        _surround(trial_files, "make_trial_dir")
        for name in ("remove_checkpoint", "remove_leftovers", "note_unrecorded", "note_recorded"):
            _surround(trial_files.TrialFiles, name)
        _surround(history_file, "write_file")
        _surround(history_file, "_new_file")
        _surround(own_files, "write_file")
        _surround(own_files, "create_small_file")
        _tear(append_file.AppendFile, "append")
        _surround(outbox.PolledOutbox, "send")
    else:
        _surround(saving, "make_staging_directory")
        _surround(saving, "commit_checkpoint")
        _surround(checkpoint_dirs, "commit_directory")
        _surround(os, "rename")
        _surround(pipe.MessagePipe, "send")


def count() -> int:
    """Points that were passed so far."""
    return _count


def _point() -> None:
    global _count
    _count += 1
    if _count == _crash_at and not os.path.exists(_once):
        if _once:
            with open(_once, "w", encoding="utf-8"):
                pass
        if os.environ.get("CRASH_HOW") == "full":
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def _surround(owner: Any, name: str) -> None:
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(*args: Any, **kwargs: Any) -> Any:
        _point()
        value = inner(*args, **kwargs)
        _point()
        return value

    setattr(owner, name, outer)


def _tear(owner: Any, name: str) -> None:
    """Half of a text may be written when the process dies."""
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(self: Any, text: str) -> Any:
        if _count + 1 == _crash_at:
            inner(self, text[: len(text) // 2])
        _point()
        value = inner(self, text)
        _point()
        return value

    setattr(owner, name, outer)


__all__ = ["arm", "count"]
