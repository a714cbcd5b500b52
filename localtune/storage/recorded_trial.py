"""RecordedTrial: an ended trial that keeps the form of its record until somebody asks for more.

::

    load --> RecordedTrial ----- (an attribute is read or set) -----> Trial
                 |
                 +-- stats_of, last_row: look into the record, which stays closed

Of 100,000 trials that are loaded, most are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from localtune.trial.metric_analysis import MetricStats, PackedStats
from localtune.trial.status import Status
from localtune.trial.trial import Trial

# (trial id, status, directory's name, origin, progress)
TrialRow: TypeAlias = "tuple[str, str, str, bytes, bytes]"

# Attributes that do not open the record.
_CLOSED = frozenset(
    {
        "__class__",
        "_record",
        "dirname",
        "experiment_path",
        "is_finished",
        "last_row",
        "path",
        "stats_of",
        "status",
        "trial_id",
    }
)

_STATUSES = {each.value: each for each in Status}
_put = object.__setattr__


class RecordReader(Protocol):
    """Reads records of trials. All methods raise StorageError for a damaged record."""

    def trial_of(self, row: TrialRow, checkpoints: Sequence[tuple[Any, ...]]) -> Trial:
        """Returns the trial of a record.

        Args:
            row: The row of the trial.
            checkpoints: The rows of its checkpoints.
        """

    def stats_in(self, row: TrialRow) -> dict[str, MetricStats] | PackedStats:
        """Returns the statistics in a record."""

    def last_row_in(self, row: TrialRow) -> dict[str, Any]:
        """Returns what :meth:`Trial.last_row` does for the trial of a record."""


class RecordedTrial(Trial):
    """A trial that becomes a plain :class:`Trial` when it is opened.

    Args:
        reader: Opens it.
        experiment_path: Directory of the experiment.
        row: Its row in the database.
        checkpoints: The rows of its checkpoints.
    """

    def __init__(
        self,
        reader: RecordReader,
        experiment_path: str,
        row: TrialRow,
        checkpoints: Sequence[tuple[Any, ...]],
    ) -> None:
        _put(self, "trial_id", row[0])
        _put(self, "status", _STATUSES[row[1]])
        _put(self, "dirname", row[2])
        _put(self, "experiment_path", experiment_path)
        _put(self, "_record", (reader, row, checkpoints))

    def __getattribute__(self, name: str) -> Any:
        if name not in _CLOSED:
            _open(self)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _open(self)
        _put(self, name, value)

    _record: tuple[RecordReader, TrialRow, Sequence[tuple[Any, ...]]]

    def stats_of(self, metric: str) -> MetricStats | None:
        reader, row, _ = self._record
        return reader.stats_in(row).get(metric)

    def last_row(self) -> dict[str, Any]:
        reader, row, _ = self._record
        return reader.last_row_in(row)


def _open(trial: RecordedTrial) -> None:
    """Makes a plain trial of a recorded one."""
    record = object.__getattribute__(trial, "__dict__").get("_record")
    if record is None:  # Another thread was faster.
        return
    reader, row, checkpoints = record
    for name, value in vars(reader.trial_of(row, checkpoints)).items():
        _put(trial, name, value)
    _put(trial, "__class__", Trial)
    # Last, because another thread may be about to open it, too.
    trial.__dict__.pop("_record", None)
