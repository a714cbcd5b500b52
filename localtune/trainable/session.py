"""Defines the functions that a function trainable calls: report, get_checkpoint, get_context."""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.old_names.arguments import old_report
from localtune.trainable.active_session import session_or_warning
from localtune.trainable.context import TuneContext

__all__ = ["TuneContext", "get_checkpoint", "get_context", "report"]


@old_report
def report(metrics: dict[str, Any], *, checkpoint: Checkpoint | None = None) -> None:
    """Reports the metrics, and optionally a checkpoint, of one iteration of a function trainable.

    The call returns when the trial continues. If the trial is to end, it raises
    :class:`localtune.error.TrialStopped`. Do not catch that, so that the function ends and its
    ``finally`` blocks run.

    Args:
        metrics: {name: metric}; may contain nested dicts; not changed.
        checkpoint: State to keep, or None. Its files are copied into the trial's directory before
            the call returns; the caller may then remove the original.

    Raises:
        TypeError: if ``metrics`` is no dict, or ``checkpoint`` is no Checkpoint.
        ValueError: if the metrics contain a tensor, or are too large.
        FileNotFoundError: if the checkpoint's directory does not exist.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     for epoch in range(10):
        ...         tune.report({"loss": config["lr"] / (epoch + 1)})
    """
    session = session_or_warning("report", stacklevel=4)
    if session is None:
        return
    if not isinstance(metrics, dict):
        raise TypeError(
            "report() takes a dict of metrics, but got "
            f"{type(metrics).__name__}: {metrics!r}. Use for example report({{'loss': loss}})."
        )
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        raise TypeError(
            "checkpoint must be a Checkpoint, but got "
            f"{type(checkpoint).__name__}: {checkpoint!r}. Use "
            "report(metrics, checkpoint=Checkpoint.from_directory(path))."
        )
    session.report(metrics, checkpoint)


def get_checkpoint() -> Checkpoint | None:
    """Returns the checkpoint from which a function trainable continues.

    Returns:
        The stored copy of the checkpoint that was reported last. Before the first such report, the
        checkpoint that the trial was restored from. None if there is neither.
    """
    session = session_or_warning("get_checkpoint")
    return session.checkpoint if session is not None else None


_context = TuneContext()


def get_context() -> TuneContext:
    """Returns the object with facts about the trial.

    Returns:
        One object for the whole process. Its methods describe the trial of the calling function.
    """
    return _context
