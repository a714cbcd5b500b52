"""Tracks the checkpoints of a trial: which exist, which is the latest, and which may be removed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


@dataclass(slots=True, eq=False)
class TrackedCheckpoint:
    """Holds one committed checkpoint.

    Attributes:
        checkpoint: Handle of the stored directory.
        metrics: Result that the checkpoint belongs to.
        index: Number of the checkpoint within its trial, from 0; -1 if it belongs to no trial.
        result_count: Number of results in the trial's history when it was made.
        files: {path within the directory: size in bytes}; None if unknown.
        pins: Ids of the trials that still need the directory. Retention keeps a pinned one.
    """

    checkpoint: Checkpoint
    metrics: dict[str, Any]
    index: int
    result_count: int = 0
    files: Mapping[str, int] | None = None
    pins: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Holds the point from which a trial continues.

    Attributes:
        tracked: The checkpoint.
        owner_id: Id of the trial that made it; None if no trial of the run did.
        kept_count: Number of results that the trial's history keeps when it starts here; None is
            the count of the checkpoint. It is set for checkpoints of other trials.
    """

    tracked: TrackedCheckpoint
    owner_id: str | None
    kept_count: int | None = None

    @property
    def result_count(self) -> int:
        """Number of results that the trial's history keeps when it starts here."""
        return self.tracked.result_count if self.kept_count is None else self.kept_count


class CheckpointHistory:
    """Applies a retention rule to the checkpoints of one trial.

    It deletes no directories: its methods return the checkpoints to delete.

    Args:
        config: Number of checkpoints to keep, and the score that ranks them.
    """

    __slots__ = ("_config", "_kept", "latest")

    def __init__(self, config: CheckpointConfig) -> None:
        self._config = config
        # In order of score if one is set, else of time. Most trials have none: unlike an empty
        # list, an empty tuple takes no memory.
        self._kept: tuple[TrackedCheckpoint, ...] = ()
        self.latest: TrackedCheckpoint | None = None

    def __setstate__(self, state: Any) -> None:
        """Takes the state of a pickle, also of one from before this class had slots."""
        values = state if isinstance(state, dict) else state[1]
        for name, value in values.items():
            setattr(self, name, value)
        self._kept = tuple(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[TrackedCheckpoint]:
        """Iterates over all existing checkpoints in no particular order."""
        return iter(self._kept)

    @property
    def kept(self) -> list[TrackedCheckpoint]:
        """All existing checkpoints, oldest first."""
        return sorted(self._kept, key=lambda tracked: tracked.index)

    @property
    def best(self) -> list[TrackedCheckpoint]:
        """The retained checkpoints in ascending order of score, or of time without a score."""
        number = self._config.num_to_keep
        return list(self._kept if number is None else self._kept[-number:])

    def register(self, tracked: TrackedCheckpoint) -> list[TrackedCheckpoint]:
        """Adds a new checkpoint and returns those to delete."""
        self.adopt(tracked)
        return self.collect()

    def adopt(self, tracked: TrackedCheckpoint) -> None:
        """Adds the newest checkpoint without dropping others.

        Recorded checkpoints must be added oldest first.
        """
        self._insert(tracked)
        self.latest = tracked

    def collect(self) -> list[TrackedCheckpoint]:
        """Drops and returns the unpinned checkpoints that the retention rule does not keep."""
        number = self._config.num_to_keep
        if number is None:
            return []
        gone = [
            tracked
            for tracked in self._kept[: max(len(self._kept) - number, 0)]
            if tracked is not self.latest and not tracked.pins
        ]
        if gone:
            self._kept = tuple(tracked for tracked in self._kept if tracked not in gone)
        return gone

    def forget(self, tracked: TrackedCheckpoint) -> None:
        """Drops an unusable checkpoint. If it was the latest, the newest other one is."""
        self._kept = tuple(other for other in self._kept if other is not tracked)
        if self.latest is tracked:
            self.latest = max(self._kept, key=lambda other: other.index, default=None)

    def _insert(self, tracked: TrackedCheckpoint) -> None:
        attribute = self._config.checkpoint_score_attribute
        if attribute is None:
            self._kept = (*self._kept, tracked)
            return
        score = self._score(tracked, attribute)
        if score is None:
            logger.warning(
                "The checkpoint %s ranks last: its result has no number under %r, the value of "
                "checkpoint_score_attribute.",
                tracked.checkpoint.path,
                attribute,
            )
        position = len(self._kept)
        while position > 0 and _is_better(self._score(self._kept[position - 1], attribute), score):
            position -= 1
        self._kept = (*self._kept[:position], tracked, *self._kept[position:])

    def _score(self, tracked: TrackedCheckpoint, attribute: str) -> float | None:
        """Returns the score to maximise; None if it is missing or no number, -inf if it is NaN."""
        value = tracked.metrics.get(attribute)
        if value is None:
            value = flatten_dict(tracked.metrics).get(attribute)
        if not isinstance(value, (int, float)):
            return None
        if math.isnan(value):
            return -math.inf
        return value if self._config.checkpoint_score_order == "max" else -value


def _is_better(one: float | None, other: float | None) -> bool:
    return one is not None and (other is None or one > other)
