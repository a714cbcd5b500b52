"""Which checkpoints of a trial exist, which one is the latest, and which may go."""

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
    """One committed checkpoint.

    Attributes:
        checkpoint: Handle of the stored directory.
        metrics: Result that the checkpoint belongs to.
        index: Number of the checkpoint within its trial, from 0; -1 if it is of no trial.
        result_count: How many results its trial's history held by then.
        files: {path within the directory: size in bytes}, None if that is not known.
        pins: Ids of those who still need the directory; retention keeps it meanwhile.
    """

    checkpoint: Checkpoint
    metrics: dict[str, Any]
    index: int
    result_count: int = 0
    files: Mapping[str, int] | None = None
    pins: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where a trial goes on from.

    Attributes:
        tracked: The checkpoint.
        owner_id: Id of the trial that made it, None if it is of no trial of the run.
        kept_count: How many results the history of a trial keeps that starts from another one's
            checkpoint; None is as many as the checkpoint's own.
    """

    tracked: TrackedCheckpoint
    owner_id: str | None
    kept_count: int | None = None

    @property
    def result_count(self) -> int:
        """How many results the trial's history keeps when it starts there."""
        return self.tracked.result_count if self.kept_count is None else self.kept_count


class CheckpointHistory:
    """The checkpoints of one trial under a retention rule.

    Pure bookkeeping: it says which directories to delete and deletes none.

    Args:
        config: How many to keep, and by which score.
    """

    def __init__(self, config: CheckpointConfig) -> None:
        self._config = config
        self._kept: list[TrackedCheckpoint] = []  # by score if there is one, else by time
        self.latest: TrackedCheckpoint | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[TrackedCheckpoint]:
        """All checkpoints that exist, in no particular order."""
        return iter(self._kept)

    @property
    def kept(self) -> list[TrackedCheckpoint]:
        """All checkpoints that exist, oldest first."""
        return sorted(self._kept, key=lambda tracked: tracked.index)

    @property
    def best(self) -> list[TrackedCheckpoint]:
        """The retained ones in ascending order of score (of time without a score)."""
        number = self._config.num_to_keep
        return list(self._kept) if number is None else self._kept[-number:]

    def register(self, tracked: TrackedCheckpoint) -> list[TrackedCheckpoint]:
        """Takes in a new checkpoint; returns those that are not needed any more."""
        self.adopt(tracked)
        return self.collect()

    def adopt(self, tracked: TrackedCheckpoint) -> None:
        """Takes in the newest checkpoint and drops none: those on record come oldest first."""
        self._insert(tracked)
        self.latest = tracked

    def collect(self) -> list[TrackedCheckpoint]:
        """Drops and returns what the retention rule no longer keeps and nobody has pinned."""
        number = self._config.num_to_keep
        if number is None:
            return []
        gone = [
            tracked
            for tracked in self._kept[: max(len(self._kept) - number, 0)]
            if tracked is not self.latest and not tracked.pins
        ]
        for tracked in gone:
            self._kept.remove(tracked)
        return gone

    def forget(self, tracked: TrackedCheckpoint) -> None:
        """Removes one that turned out to be unusable; the newest other becomes the latest."""
        self._kept.remove(tracked)
        if self.latest is tracked:
            self.latest = max(self._kept, key=lambda other: other.index, default=None)

    def _insert(self, tracked: TrackedCheckpoint) -> None:
        attribute = self._config.checkpoint_score_attribute
        if attribute is None:
            self._kept.append(tracked)
            return
        score = self._score(tracked, attribute)
        if score is None:
            logger.warning(
                "The checkpoint %s ranks last: its result has no number %r, which "
                "checkpoint_score_attribute names.",
                tracked.checkpoint.path,
                attribute,
            )
        position = len(self._kept)
        while position > 0 and _is_better(self._score(self._kept[position - 1], attribute), score):
            position -= 1
        self._kept.insert(position, tracked)

    def _score(self, tracked: TrackedCheckpoint, attribute: str) -> float | None:
        """Score to be maximised; None if it is missing or no number, -inf if it is NaN."""
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
