"""CheckpointConfig: when checkpoints are made and which are kept."""

from __future__ import annotations

from dataclasses import dataclass

from localtune.config.checks import is_count


@dataclass
class CheckpointConfig:
    """When checkpoints are made and which are kept.

    Args:
        num_to_keep: How many checkpoints of a trial to keep (plus the newest); None keeps all.
        checkpoint_score_attribute: Metric that ranks the checkpoints; None ranks them by time.
        checkpoint_score_order: ``"max"`` or ``"min"``.
        checkpoint_frequency: Save every so many iterations; 0 is never. Classes only.
        checkpoint_at_end: Save when a trial ends. None is True for classes in a
            :class:`~localtune.Tuner`, else False.

    Raises:
        ValueError: for a value out of its range.
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str | None = "max"
    checkpoint_frequency: int | None = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        if self.num_to_keep is not None and not is_count(self.num_to_keep, 1):
            raise ValueError(
                "num_to_keep must be a whole number of at least 1, or None to keep all, "
                f"but got {self.num_to_keep!r}."
            )
        attribute = self.checkpoint_score_attribute
        if attribute is not None and not isinstance(attribute, str):
            raise ValueError(
                "checkpoint_score_attribute must be the name of a metric, or None to rank by "
                f"time, but got {attribute!r}."
            )
        if self.checkpoint_score_order not in ("max", "min"):
            raise ValueError(
                "checkpoint_score_order must be 'max' or 'min', "
                f"but got {self.checkpoint_score_order!r}."
            )
        if self.checkpoint_frequency is not None and not is_count(self.checkpoint_frequency, 0):
            raise ValueError(
                "checkpoint_frequency must be a whole number, 0 (never) or more, "
                f"but got {self.checkpoint_frequency!r}."
            )
