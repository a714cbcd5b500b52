"""What functions call in a trial: reports, facts and checkpoint directories."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from numbers import Number
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.compat import train_context
from localtune.old_names.arguments import REPORT, REPORT_NUMBER, is_report_of_keywords
from localtune.old_names.table import ROWS
from localtune.result import DEFAULT_METRIC
from localtune.trainable import session as today
from localtune.trainable.active_session import Session, current_session
from localtune.utils.files import STAGING_PREFIX, remove_tree

# {session of a trial: directory of the checkpoint that its next report takes}
_waiting: weakref.WeakKeyDictionary[Session, str] = weakref.WeakKeyDictionary()
_TAKEN = STAGING_PREFIX + "of_report"


def report(today: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Reports metrics of any form, with the checkpoint that waits for the report.

    Args:
        today: The function ``report(metrics, *, checkpoint=None)``.
        args: Arguments by position: none, a number, or a dict.
        kwargs: Arguments by name: those of today, or the metrics.
    """
    if is_report_of_keywords(set(kwargs)) or (args and isinstance(args[0], Number)):
        args, kwargs = _with_dict(args, kwargs)
    session = current_session()
    directory = _waiting.pop(session, None) if session is not None else None
    if session is None or directory is None or kwargs.get("checkpoint") is not None:
        today(*args, **kwargs)
        return
    # The checkpoint gets the path that the script knows, so the original makes room.
    taken = os.path.join(session.storage.trial_dir, _TAKEN)
    remove_tree(taken)
    os.rename(directory, taken)
    try:
        today(*args, checkpoint=Checkpoint(taken), **kwargs)
    finally:
        remove_tree(taken)


def _with_dict(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[dict[str, Any]], dict[str, Any]]:
    """Returns the arguments of a report with a dict of metrics."""
    metrics = dict(kwargs)
    more = {}
    if isinstance(metrics.get("checkpoint"), Checkpoint):
        more["checkpoint"] = metrics.pop("checkpoint")
    if args and isinstance(args[0], Number):
        metrics[DEFAULT_METRIC] = args[0]
    elif args and isinstance(args[0], dict):
        metrics = {**args[0], **metrics}
    return ({name: _plain(each) for name, each in metrics.items()},), more


def _plain(value: Any) -> Any:
    """A tensor of one element as a number: reports of earlier releases took these."""
    is_tensor = type(value).__module__.partition(".")[0] == "torch"
    return value.item() if is_tensor and value.numel() == 1 else value


@contextlib.contextmanager
def checkpoint_dir(step: Any = None) -> Iterator[str]:
    """Makes a directory for a checkpoint, which the next report takes.

    Args:
        step: Accepted for compatibility.

    Yields:
        Path of an empty directory in the trial's directory.
    """
    session = current_session()
    if session is None:
        with tempfile.TemporaryDirectory(prefix="checkpoint_tmp_") as directory:
            yield directory
        return
    yield _new_directory(session)


def make_checkpoint_dir(step: Any = None) -> str:
    """Makes a directory for a checkpoint, which the next report takes.

    Args:
        step: Accepted for compatibility.
    """
    session = current_session()
    if session is None:
        return tempfile.mkdtemp(prefix="checkpoint_tmp_")
    return _new_directory(session)


def save_checkpoint(checkpoint: str) -> None:
    """Keeps a path for the next report.

    Args:
        checkpoint: A directory of :func:`make_checkpoint_dir`, or a file in it.
    """
    session = current_session()
    if session is not None and session not in _waiting:
        directory = checkpoint if os.path.isdir(checkpoint) else os.path.dirname(checkpoint)
        _waiting[session] = directory


def _new_directory(session: Session) -> str:
    """Makes the directory that the trial's next checkpoint will have."""
    storage = session.storage
    while True:
        directory = storage.checkpoint_path(storage.next_checkpoint_index)
        try:
            os.mkdir(directory)
        except FileExistsError:
            if _waiting.get(session) == directory:
                remove_tree(directory)  # No report took it.
            else:
                storage.next_checkpoint_index += 1
            continue
        _waiting[session] = directory
        return directory


def is_session_enabled() -> bool:
    """Tells whether the code runs in a trial."""
    return current_session() is not None


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Starts or ends nothing: each trial reports from its beginning to its end."""


def track_log(**metrics: Any) -> None:
    """Reports metrics.

    Args:
        **metrics: The metrics.
    """
    # Its own note is enough.
    today.report(_with_dict((), metrics)[0][0])


_context = train_context.get_context()
_FACTS = {
    row.name: getattr(_context, row.member)
    for row in ROWS
    if row.kind == "name" and row.owner in ("session", "tune") and hasattr(_context, row.member)
}
TRANSLATIONS: dict[str, Callable[..., Any]] = {
    REPORT: report,
    REPORT_NUMBER: report,
    **_FACTS,
    "session.report": train_context.report,
    "session.get_checkpoint": today.get_checkpoint,
    "tune.is_session_enabled": is_session_enabled,
    "tune.checkpoint_dir": checkpoint_dir,
    "tune.make_checkpoint_dir": make_checkpoint_dir,
    "tune.save_checkpoint": save_checkpoint,
    "track.init": _nothing,
    "track.log": track_log,
    "track.shutdown": _nothing,
    "track.trial_dir": _context.get_trial_dir,
    "track.trial_name": _context.get_trial_name,
}
