"""Reads the database of an experiment; all statements that only read are here.

The latest run is read unless another one is selected. While a trial runs, the rows of its results
are ahead of its own row; loading the trial adds them. A run that is going on reads and writes with
:class:`~localtune.storage.experiment_db.ExperimentDB`, which derives from it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any
from urllib.parse import quote

from localtune.checkpoint import Checkpoint
from localtune.error import StorageError, UsageError
from localtune.result import CONFIG_PREFIX, EXPERIMENT_DB_FILE
from localtune.storage.history_rows import SELECT_CONFIGS, SELECT_RESULTS, joined
from localtune.storage.recorded_trial import RecordedTrial, TrialRow
from localtune.storage.schema import damaged, prepare, unreadable, unwritable
from localtune.storage.trial_record import RecordLoader, absolute_path, stats_of, take_result
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.metric_analysis import MetricStats, PackedStats
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.collector import collector_paused

# The files that SQLite may open or make for the database.
DATABASE_FILES = tuple(f"{EXPERIMENT_DB_FILE}{end}" for end in ("", "-wal", "-shm", "-journal"))

_SELECT = "SELECT trial_id, status, dirname, origin, progress FROM trials"
_SELECT_CHECKPOINTS = (
    "SELECT trial_id, number, path, result_count, metrics, files FROM checkpoints "
    "WHERE trial_id = ? ORDER BY number"
)
_SELECT_CHECKPOINTS_OF_RUN = (
    "SELECT trial_id, number, path, result_count, metrics, files FROM checkpoints AS each "
    "WHERE EXISTS (SELECT 1 FROM trials WHERE trial_id = each.trial_id AND run = ?) "
    "ORDER BY trial_id, number"
)
# The index of numbers keeps the order. By the index of runs, SQLite would sort all records.
_SELECT_ALL = f"""
{_SELECT} WHERE number BETWEEN (SELECT min(number) FROM trials WHERE run = ?1)
AND (SELECT max(number) FROM trials WHERE run = ?1) AND +run = ?1 ORDER BY number
"""
_SELECT_NUMBERS = "SELECT number FROM trials WHERE run = ? AND status = ?"
_SELECT_RANKED = "SELECT value, number FROM trials WHERE run = ? AND status = ?"
_FINAL = tuple(each.value for each in Status if each.is_final)
_UNFINISHED = tuple(each.value for each in Status if not each.is_final)
_STATUSES = frozenset((*_FINAL, *_UNFINISHED))


@dataclass(frozen=True)
class RunRecord:
    """Holds the record of one run of an experiment, without its trials.

    Attributes:
        number: Number of the run in the experiment, from 1.
        started: Unix time of its start; None if unknown.
        metric: Flat name of the metric that it optimises; None if unknown.
        mode: ``"min"`` or ``"max"``; None if unknown.
        counts: {status: number of trials with it}, without zeros.
    """

    number: int
    started: float | None = None
    metric: str | None = None
    mode: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def trial_count(self) -> int:
        """Number of its trials."""
        return sum(self.counts.values())


def _open(trials: Iterable[Trial]) -> None:
    """Opens the records of trials, so that damage is told now."""
    for trial in trials:
        trial.config  # noqa: B018


class ExperimentReader:
    """Reads the state of one experiment.

    Args:
        experiment_path: Directory of the experiment; must exist.
        database_path: The database, or a copy of it. SQLite may change the file.
        is_new: Whether there was no database before.
        is_fixed: Whether nobody changes the file: SQLite then makes no file beside it, locks
            nothing, and ignores a write-ahead log. A database of an older schema is an error.

    Raises:
        StorageError: if the database cannot be opened, or was written by a newer version of
            localtune.
    """

    def __init__(
        self,
        experiment_path: str,
        database_path: str,
        *,
        is_new: bool = False,
        is_fixed: bool = False,
    ) -> None:
        self._experiment_path = experiment_path
        self._path = os.path.join(experiment_path, EXPERIMENT_DB_FILE)  # For errors.
        # {trial id: {number: recorded checkpoint}} of trials that were saved or loaded here.
        self._checkpoints: dict[str, dict[int, TrackedCheckpoint]] = {}
        self._loader = RecordLoader(experiment_path)
        target = f"file:{quote(database_path)}?mode=ro&immutable=1" if is_fixed else database_path
        try:
            self._connection = sqlite3.connect(
                target,
                isolation_level=None,
                check_same_thread=False,
                timeout=30.0,
                uri=is_fixed,
            )
        except sqlite3.Error as error:
            raise self._unusable(error, is_new=is_new) from error
        try:
            execute = self._connection.execute
            if not is_fixed:
                # On a file system without shared memory, SQLite keeps its older journal mode.
                execute("PRAGMA journal_mode=WAL")
                execute("PRAGMA synchronous=NORMAL")
            self._run = prepare(self._connection, self._path, is_new=is_new)
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._unusable(error, is_new=is_new) from error
            raise

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    @property
    def run(self) -> int:
        """Number of the run that is read and written, from 1. By default the latest."""
        return self._run

    def runs(self) -> list[RunRecord]:
        """Returns all runs, the latest last. There is always one, which may have no trials yet.

        Raises:
            StorageError: if the database is damaged.
        """
        counts: dict[int, dict[str, int]] = {}
        statement = "SELECT run, status, count(*) FROM trials GROUP BY run, status"
        for number, status, count in self._select(statement, ()):
            if status not in _STATUSES:
                raise self.damaged(f"a trial has the status {status!r}")
            counts.setdefault(number, {})[status] = count
        rows = self._select("SELECT number, started, metric, mode FROM runs ORDER BY number", ())
        for number, _, metric, mode in rows:
            if not isinstance(metric, (str, NoneType)) or mode not in ("min", "max", None):
                raise self.damaged(f"the run {number} has the metric {metric!r}, mode {mode!r}")
        return [
            RunRecord(number, started, metric, mode, counts.get(number, {}))
            for number, started, metric, mode in rows
        ]

    def select_run(self, number: int) -> None:
        """Selects another run than the latest for reading and writing.

        Raises:
            UsageError: if the run does not exist.
        """
        runs = self.runs()
        if all(number != each.number for each in runs):
            have = "only the run 1" if len(runs) == 1 else f"the runs 1 to {runs[-1].number}"
            raise UsageError(
                f"The experiment {self._experiment_path!r} has no run {number!r}: it has {have}."
            )
        self._run = number

    @property
    def current_run(self) -> int:
        """Number of the run that a process worked on last."""
        number: int | None = self._meta("current_run", int)
        return self._run if number is None else number

    def get(self, key: str, kind: type = object) -> Any:
        """Returns the value of a key in the state of the run; None if it was never set.

        Args:
            key: The key.
            kind: Expected type of the value. None is always accepted.

        Raises:
            StorageError: if the database is damaged, for example if the value has another type.
        """
        statement = "SELECT value FROM state WHERE run = ? AND key = ?"
        rows = self._select(statement, (self._run, key))
        return self._unpickled(rows[0][0], (kind, NoneType)) if rows else None

    def results(self, trial_id: str) -> Iterator[dict[str, Any]]:
        """Yields the history of a trial, oldest first, without its config."""
        for _, blob in self._select(SELECT_RESULTS, (trial_id, 0)):
            yield self._unpickled(blob, dict)

    def history(self, trial: Trial) -> Iterator[dict[str, Any]]:
        """Returns the results of a trial, oldest first, with their configs, as callbacks got them.

        Raises:
            StorageError: if the database is damaged, or the disk is full or not available.
        """
        results = self._select(SELECT_RESULTS, (trial.trial_id, 0))
        configs = self._select(SELECT_CONFIGS, (trial.trial_id,))
        # The config of `trial` may have changed since the last transaction.
        rows = self._select("SELECT origin FROM trials WHERE trial_id = ?", (trial.trial_id,))
        config = self._dict(rows[0][0])[CONFIG_PREFIX] if rows else trial.config
        return joined(results, configs, config, self._dict)

    def load(self) -> list[Trial]:
        """Returns the trials of the run in the order of their creation.

        Raises:
            StorageError: if the database is damaged, or contains objects of a module that is
                missing here. The records of ended trials are opened, and checked, when they are
                used.
        """
        # One statement for all checkpoints: most trials may have none.
        checkpoints: dict[str, list[tuple[Any, ...]]] = {}
        for trial_id, *row in self._rows(_SELECT_CHECKPOINTS_OF_RUN, (self._run,)):
            checkpoints.setdefault(trial_id, []).append(tuple(row))
        rows = self._rows(_SELECT_ALL, (self._run,))
        with contextlib.closing(rows), collector_paused():
            trials = [self._trial(row, checkpoints.get(row[0], ())) for row in rows]
        # A module that is missing here is told at once: most trials need the same ones.
        _open(trials[:1])
        return trials

    def load_best(self, mode: str, number: int) -> dict[int, Trial]:
        """Returns the best of the ended trials, and all others, in the order of their creation.

        An index has the ended trials in the order of their values, so that the cost does not grow
        with their number. Of trials with equal values, the first one is the best. Trials whose
        value is NaN or infinite are left out.

        Args:
            mode: ``"min"`` or ``"max"``: how trials are compared by the metric of the run.
            number: Largest number of ended trials.

        Returns:
            {number of the trial in its run, from 0: trial}.

        Raises:
            StorageError: as :meth:`load`.
        """
        ranked = [row for status in _FINAL for row in self._ranked(status, mode, number)]
        sign = 1 if mode == "min" else -1
        ranked.sort(key=lambda row: (sign * row[0], row[1]))
        wanted = {row[1] for row in ranked[:number]}
        for status in _UNFINISHED:
            rows = self._select(_SELECT_NUMBERS, (self._run, status))
            wanted.update(row[0] for row in rows)
        in_run = self._numbers_in_run(sorted(wanted))
        found = {
            in_run[each]: trial for each in in_run for trial in self._load("number = ?", (each,))
        }
        # If none has a value, the first trial shows whether records can be read here.
        _open(found.values() or self._load("run = ?", (self._run,), limit=1))
        return found

    def _numbers_in_run(self, numbers: list[int]) -> dict[int, int]:
        """Returns {number in the experiment: number in the run}."""
        if self._select("SELECT count(*) FROM runs", ()) == [(1,)]:
            return {each: each for each in numbers}
        rows = self._select("SELECT number FROM trials WHERE run = ? ORDER BY number", (self._run,))
        place_of = {number: place for place, (number,) in enumerate(rows)}
        return {each: place_of[each] for each in numbers}

    def _ranked(self, status: str, mode: str, number: int) -> list[tuple[Any, ...]]:
        """Returns (value, number) of the trials with a status that may be among the best."""
        of_status, order = (self._run, status), "" if mode == "min" else "DESC"
        has_value = f"{_SELECT_RANKED} AND value IS NOT NULL"
        last = self._select(
            f"{has_value} ORDER BY value {order} LIMIT 1 OFFSET ?", (*of_status, number - 1)
        )
        if not last:
            return self._select(has_value, of_status)
        better = "<" if mode == "min" else ">"
        worst = (*of_status, last[0][0])
        # Of those that are equal to the last one, the first ones count.
        return [
            *self._select(f"{has_value} AND value {better} ?", worst),
            *self._select(f"{has_value} AND value = ? ORDER BY number LIMIT ?", (*worst, number)),
        ]

    def load_by_dirname(self, dirname: str) -> Trial | None:
        """Returns the trial of any run that has a directory; None if there is none.

        Raises:
            StorageError: as :meth:`load`.
        """
        found = self._load("dirname = ?", (dirname,), limit=1)
        _open(found)
        return found[0] if found else None

    def _meta(self, key: str, kind: type) -> Any:
        rows = self._select("SELECT value FROM meta WHERE key = ?", (key,))
        return self._unpickled(rows[0][0], kind) if rows else None

    def _select(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return list(self._rows(statement, values))

    def _rows(
        self, statement: str, values: Sequence[Any]
    ) -> Generator[tuple[Any, ...], None, None]:
        """Yields rows as they are read: together, they may be larger than what is made of them."""
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self.damaged(error) from error

    def _unusable(self, error: sqlite3.Error, *, is_new: bool) -> StorageError:
        return unwritable(self._path, error) if is_new else self.damaged(error)

    def damaged(self, reason: object) -> StorageError:
        """Returns the error for a database that cannot be used."""
        return damaged(self._path, reason)

    def _dict(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = self._unpickled(data, dict)
        return found

    def _unpickled(self, data: bytes, kinds: type | tuple[type, ...] = object) -> Any:
        try:
            found = pickle.loads(data)
        except Exception as error:
            raise unreadable(self._path, error) from error
        if not isinstance(found, kinds):
            raise self.damaged(f"it contains an unexpected {type(found).__name__}")
        return found

    def _load(self, which: str, values: Sequence[Any], limit: int = -1) -> list[Trial]:
        """Returns the few trials that a condition selects, in the order of their creation."""
        rows = self._select(f"{_SELECT} WHERE {which} ORDER BY number LIMIT ?", (*values, limit))
        return [
            self._trial(row, [found[1:] for found in self._select(_SELECT_CHECKPOINTS, row[:1])])
            for row in rows
        ]

    def _trial(self, row: TrialRow, checkpoints: Sequence[tuple[Any, ...]]) -> Trial:
        if row[1] in _FINAL:
            return RecordedTrial(self, self._experiment_path, row, checkpoints)
        trial = self.trial_of(row, checkpoints)
        ahead = self._select(SELECT_RESULTS, (trial.trial_id, trial.result_count))
        for _, blob in ahead:
            take_result(trial, self._dict(blob))
        return trial

    def trial_of(self, row: TrialRow, checkpoints: Sequence[tuple[Any, ...]]) -> Trial:
        """Returns the trial of a record.

        Args:
            row: Its row.
            checkpoints: The rows of its checkpoints.

        Raises:
            StorageError: as :meth:`load`.
        """
        _, status, dirname, origin, progress = row
        with self._making_trials():
            trial = self._loader.trial_of(status, dirname, self._dict(origin), self._dict(progress))
            if checkpoints:
                self._add_checkpoints(trial, checkpoints)
            return trial

    def stats_in(self, row: TrialRow) -> dict[str, MetricStats] | PackedStats:
        """Returns the statistics in the record of a trial.

        Args:
            row: The row of the trial.

        Raises:
            StorageError: as :meth:`load`.
        """
        with self._making_trials():
            return stats_of(self._dict(row[-1]))

    def last_row_in(self, row: TrialRow) -> dict[str, Any]:
        """Returns what :meth:`Trial.last_row` does for the trial of a record.

        Args:
            row: The row of the trial.

        Raises:
            StorageError: as :meth:`load`.
        """
        progress = self._dict(row[-1])
        if not (progress.get("metric_stats") and progress.get("last_result")):
            return {}
        last_result: dict[str, Any] = progress["last_result"]
        last_result[CONFIG_PREFIX] = self._dict(row[-2])[CONFIG_PREFIX]
        return last_result

    @contextlib.contextmanager
    def _making_trials(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            # The content of the pickles makes no trial, or a pickle in them cannot be loaded.
            raise unreadable(self._path, error) from error

    def _add_checkpoints(self, trial: Trial, rows: Sequence[tuple[Any, ...]]) -> None:
        config = {CONFIG_PREFIX: trial.config}
        for number, path, result_count, metrics, files in rows:
            tracked = TrackedCheckpoint(
                Checkpoint(absolute_path(path, self._experiment_path)),
                {**self._dict(metrics), **config},
                number,
                result_count,
                self._unpickled(files, (dict, NoneType)),
            )
            # Checkpoints that were only pinned are dropped with the next new one.
            trial.checkpoints.adopt(tracked)
        self._checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}


def has_database(experiment_path: str) -> bool:
    """Tells whether a directory has a file with the name of an experiment's database.

    Opening the file checks it.
    """
    return os.path.lexists(os.path.join(experiment_path, EXPERIMENT_DB_FILE))
