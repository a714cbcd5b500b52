"""ColumnChoice: the columns that a user has chosen for the tables of a reporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from localtune.result import (
    EPISODE_REWARD_MEAN,
    MEAN_ACCURACY,
    MEAN_LOSS,
    TIME_TOTAL_S,
    TIMESTEPS_TOTAL,
    TRAINING_ITERATION,
)

DEFAULT_METRIC_COLUMNS = {
    MEAN_ACCURACY: "acc",
    MEAN_LOSS: "loss",
    TRAINING_ITERATION: "iter",
    TIME_TOTAL_S: "total time (s)",
    TIMESTEPS_TOTAL: "ts",
    EPISODE_REWARD_MEAN: "reward",
}


class ColumnChoice:
    """Named columns, to which those of the trials' values may be added.

    Args:
        columns: Flat names, or {flat name: title}; None takes ``default``, to which columns are
            added.
        default: {flat name: title}.
    """

    def __init__(
        self, columns: Sequence[str] | Mapping[str, str] | None, default: Mapping[str, str]
    ) -> None:
        self.infers = columns is None
        chosen = default if columns is None else columns
        if isinstance(chosen, str):
            raise ValueError(f"Columns must be a list or a dict of names, but got {chosen!r}.")
        self.titles: dict[str, str] = (
            dict(chosen) if isinstance(chosen, Mapping) else {name: name for name in chosen}
        )

    def add(self, name: str, title: str | None = None) -> None:
        """Adds a column.

        Args:
            name: Flat name.
            title: Heading; None is the name.

        Raises:
            ValueError: if the column exists already.
        """
        if name in self.titles:
            raise ValueError(
                f"Each column can be added only once, but there is a column {name!r} already."
            )
        self.titles[name] = title if title is not None else name
