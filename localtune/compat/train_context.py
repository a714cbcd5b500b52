"""Facts about a trial as ``ray.train`` and ``ray.air`` tell them: a trial is one process."""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.trainable import session
from localtune.trainable.session import TuneContext


class TrainContext(TuneContext):
    """Gives facts about the trial of the calling function, which is the only process of it.

    Example:
        >>> TrainContext().get_world_size()
        1
    """

    def get_world_size(self) -> int:
        """Returns 1."""
        return 1

    def get_world_rank(self) -> int:
        """Returns 0."""
        return 0

    def get_local_rank(self) -> int:
        """Returns 0."""
        return 0

    def get_local_world_size(self) -> int:
        """Returns 1."""
        return 1

    def get_node_rank(self) -> int:
        """Returns 0."""
        return 0

    def get_metadata(self) -> dict[str, Any]:  # type: ignore[override]
        """Returns the metadata of a trainer; empty, since there is none."""
        return {}


def get_context() -> TrainContext:
    """Returns facts about the trial of the calling function."""
    return TrainContext()


def report(
    metrics: dict[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
    checkpoint_dir_name: str | None = None,
    **old_metrics: Any,
) -> None:
    """Reports the results of one iteration, as :func:`localtune.report` does.

    Args:
        metrics: {name: metric}.
        checkpoint: State to keep, or None.
        checkpoint_dir_name: Has no effect: checkpoints are numbered.
        **old_metrics: Metrics in the form of early releases.
    """
    given: dict[str, Any] = dict(old_metrics)
    if metrics is not None or not old_metrics:
        given["metrics"] = metrics
    if checkpoint is not None:
        given["checkpoint"] = checkpoint
    session.report(**given)
