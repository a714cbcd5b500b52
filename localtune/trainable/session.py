"""What a function trainable calls: report, get_checkpoint, get_context."""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.trainable.active_session import session_or_warning
from localtune.trainable.context import TuneContext

__all__ = ["TuneContext", "get_checkpoint", "get_context", "report"]


def report(metrics: dict[str, Any], *, checkpoint: Checkpoint | None = None) -> None:
    """Report metrics, and a checkpoint, of one iteration of a function trainable.

    Returns when the trial is to go on. If it is to end, this raises
    :class:`localtune.error.TrialStopped`; let it pass, so that the function ends and its
    ``finally`` blocks run.

    Args:
        metrics: Metric by name; nested dicts are fine. Left as it is.
        checkpoint: State to keep, or None. Its files are copied into the trial's directory
            before this returns; the original is the caller's to remove.

    Raises:
        TypeError: ``metrics`` is no dict, or ``checkpoint`` no Checkpoint.
        ValueError: The metrics hold a tensor, or are too large.
        FileNotFoundError: The checkpoint's directory does not exist.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     for epoch in range(10):
        ...         tune.report({"loss": config["lr"] / (epoch + 1)})
    """
    session = session_or_warning("report")
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
    """Find the state that a function trainable is to go on from.

    Returns:
        The stored copy of the checkpoint that was reported last; before the first such report,
        the one that the trial was restored from; None if there is neither.
    """
    session = session_or_warning("get_checkpoint")
    return session.checkpoint if session is not None else None


_context = TuneContext()


def get_context() -> TuneContext:
    """Get at facts about the trial.

    Returns:
        The same object in all of the process, usable anywhere; it tells of the trial that its
        caller runs in.
    """
    return _context
