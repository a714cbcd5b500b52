"""Converts trials to the bytes in the experiment's database, and back.

The record has two parts: ``origin``, which rarely changes (each change increases the trial's
``revision``), and ``progress``. Paths are relative to the experiment's directory, so that it can be
moved. Both parts leave out what has its usual value. What the trials of a run have in common is a
pickle in ``origin``, which is made, and loaded, once for all of them.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import sqlite3
from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeAlias

from localtune.checkpoint import Checkpoint
from localtune.error import TrialError
from localtune.result import CONFIG_PREFIX, EXPERIMENT_TAG, TIME_TOTAL_S
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.metric_analysis import MetricStats, PackedStats, update_metric_stats
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.utils.serialization import dumps_by_value
from localtune.utils.text import text_of

_COMMON = (
    "trainable_name",
    "placement_group_factory",
    "stopping_criterion",
    "checkpoint_config",
    "log_to_file",
)
# {name: usual value}
_ORIGIN: dict[str, Any] = {
    "trial_id": None,
    "config": None,
    "evaluated_params": {},
    "experiment_tag": "",
    "seed": 0,
}
_PROGRESS: dict[str, Any] = {
    "custom_trial_name": None,
    "max_failures": 0,
    "num_failures": 0,
    "failed_tries": 0,
    "result_count": 0,
    "next_checkpoint_index": 0,
    "start_time": None,
    "run_time_s": 0.0,
    "own_files": {},
}
_COMMON_KEY = "common"
_LARGE = 2**63

SET_VALUE = "UPDATE trials SET value = ? WHERE trial_id = ?"

# Types of the entries whose methods are called by readers.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "trainable_name": str,
    "trial_id": str,
    "config": dict,
    "evaluated_params": dict,
    "experiment_tag": str,
    "log_to_file": tuple,
    "max_failures": (int, float),
    "num_failures": int,
    "metric_stats": (dict, tuple),
    "result_count": int,
    "next_checkpoint_index": int,
    "start_time": (float, int, NoneType),
    "run_time_s": (float, int),
    "last_result": dict,
    "own_files": dict,
}

# (id of the trial that made it, number, path, metrics, number of results to keep)
_StartPointRecord: TypeAlias = "tuple[str | None, int, str, dict[str, Any], int | None]"

# (pickled error, text, traceback). The pickle is nested, since loading the class may fail.
_ErrorRecord: TypeAlias = "tuple[bytes | None, str, str]"


class RecordWriter:
    """Makes the records of trials.

    Args:
        experiment_path: Directory of the experiment.
    """

    def __init__(self, experiment_path: str) -> None:
        self._experiment_path = experiment_path
        self._common: tuple[Any, ...] = ()
        self._common_record = b""

    def origin_of(self, trial: Trial) -> bytes:
        """Returns the part of a trial's record that rarely changes."""
        origin = _unusual(trial, _ORIGIN)
        origin[_COMMON_KEY] = self._common_of(trial)
        return dump(origin)

    def progress_of(self, trial: Trial) -> bytes:
        """Returns the part of a trial's record that changes."""
        progress = _unusual(trial, _PROGRESS)
        if trial.stored_stats:
            progress["metric_stats"] = _stats_record(trial.stored_stats)
        if trial.last_result:
            # The other part contains the config.
            progress["last_result"] = without_config(trial.last_result)
        if trial.start_point is not None:
            progress["start_point"] = _start_point_record(trial.start_point, self._experiment_path)
        if trial.kept_error is not None:
            progress["error"] = _error_record(trial.kept_error)
        if trial.cut_short is not None:
            progress["cut_short"] = trial.cut_short.value
        return dump(progress)

    def _common_of(self, trial: Trial) -> bytes:
        common = tuple(getattr(trial, name) for name in _COMMON)
        if not self._common_record or common != self._common:
            self._common = (*common[:2], dict(common[2]), *common[3:])
            self._common_record = dump(dict(zip(_COMMON, common, strict=True)))
        return self._common_record


class RecordLoader:
    """Makes trials of their records.

    Args:
        experiment_path: Directory of the experiment.
    """

    def __init__(self, experiment_path: str) -> None:
        self._experiment_path = experiment_path
        self._commons: dict[bytes, dict[str, Any]] = {}  # {record: what was loaded from it}

    def trial_of(
        self, status: str, dirname: str, origin: dict[str, Any], progress: dict[str, Any]
    ) -> Trial:
        """Makes the trial of a record, without its checkpoints.

        Args:
            status: The trial's status.
            dirname: Name of its directory, "" before it has one.
            origin: The dict that :meth:`RecordWriter.origin_of` pickled.
            progress: The dict that :meth:`RecordWriter.progress_of` pickled.

        Raises:
            Exception: any error, if the record is damaged.
        """
        _check_kinds(origin)
        _check_kinds(progress)
        common = origin.pop(_COMMON_KEY, None)
        # In a record of schema 4, `origin` and `progress` hold all entries themselves.
        shared = self._common_of(common) if common is not None else {}
        trial = Trial(**shared, **origin, experiment_path=self._experiment_path)
        trial.dirname = dirname
        trial.status = Status(status)
        for name in _PROGRESS:
            if name in progress:
                setattr(trial, name, progress[name])
        trial.metric_stats = stats_of(progress)
        last_result = progress.get("last_result")
        if last_result:
            last_result[CONFIG_PREFIX] = trial.config
            trial.last_result = last_result
        self._add_rare(trial, progress)
        return trial

    def _common_of(self, record: bytes) -> dict[str, Any]:
        common = self._commons.get(record)
        if common is None:
            common = pickle.loads(record)
            _check_kinds(common)
            self._commons[record] = common
        return common

    def _add_rare(self, trial: Trial, progress: dict[str, Any]) -> None:
        start_point = progress.get("start_point")
        if start_point is not None:
            trial.start_point = _start_point_of(start_point, self._experiment_path)
        error = progress.get("error")
        if error is not None:
            trial.error = _error_of(error)
        cut_short = progress.get("cut_short")
        if cut_short is not None:
            trial.cut_short = Status(cut_short)


def value_of(stats: MetricStats | None) -> float | None:
    """Returns the value by which SQL compares a trial with others.

    Args:
        stats: Statistics of the metric of the trial's run; None without any.

    Returns:
        The latest value of the metric; None without one, or if it is NaN or infinite.
    """
    if stats is None or not math.isfinite(stats.last):
        return None
    # SQLite's integers have 64 bits.
    is_large = isinstance(stats.last, int) and not -_LARGE < stats.last < _LARGE
    return float(stats.last) if is_large else stats.last


def stats_of(progress: Mapping[str, Any]) -> dict[str, MetricStats] | PackedStats:
    """Returns the statistics in the record of a trial.

    Args:
        progress: The dict that :meth:`RecordWriter.progress_of` pickled.

    Raises:
        Exception: any error, if the record is damaged.
    """
    record = progress.get("metric_stats") or {}
    if isinstance(record, tuple):
        return PackedStats(*record)
    return {
        # Schema 4 holds the objects.
        name: each if isinstance(each, MetricStats) else MetricStats.of_record(each)
        for name, each in record.items()
    }


def recorded_values(connection: sqlite3.Connection, run: int) -> list[tuple[float | None, str]]:
    """Returns (value, trial id) of the trials of a run, from their records.

    Args:
        connection: Connection to the database.
        run: Number of the run.

    Raises:
        Exception: any error, if a record is damaged.
    """
    rows = connection.execute("SELECT metric FROM runs WHERE number = ?", (run,)).fetchall()
    metric = rows[0][0] if rows else None
    if metric is None:
        return []
    records = connection.execute("SELECT trial_id, progress FROM trials WHERE run = ?", (run,))
    return [(_value_in(pickle.loads(record), metric), trial_id) for trial_id, record in records]


def _value_in(progress: dict[str, Any], metric: str) -> float | None:
    return value_of(stats_of(progress).get(metric))


def _unusual(trial: Trial, usual: Mapping[str, Any]) -> dict[str, Any]:
    # Not from __dict__, which would come into being, and stay.
    values = ((name, getattr(trial, name)) for name in usual)
    return {name: value for name, value in values if value != usual[name]}


def _check_kinds(record: Mapping[str, Any]) -> None:
    for name, value in record.items():
        if not isinstance(value, _KINDS.get(name, object)):
            raise TypeError(f"the {name} of a trial is {type(value).__name__}")


def _stats_record(stats: dict[str, MetricStats] | PackedStats) -> Any:
    if isinstance(stats, PackedStats):
        return stats.record()
    return {name: each.record() for name, each in stats.items()}


def take_result(trial: Trial, result: dict[str, Any]) -> None:
    """Adds the next result of a trial's history to its record.

    Args:
        trial: The trial; changed in place.
        result: The result, without its config.
    """
    result = {**result, CONFIG_PREFIX: trial.config, EXPERIMENT_TAG: trial.experiment_tag}
    stats = trial.metric_stats
    update_metric_stats(stats, flatten_dict(result))
    trial.metric_stats = stats
    trial.last_result = result
    trial.result_count += 1
    total_s = result.get(TIME_TOTAL_S)
    if isinstance(total_s, (int, float)):
        trial.run_time_s = float(total_s)


def without_config(result: dict[str, Any]) -> dict[str, Any]:
    """Returns a result without its config, which the trial's record contains."""
    rest = dict(result)
    rest.pop(CONFIG_PREFIX, None)
    return rest


def dump(value: Any) -> bytes:
    """Pickles a value; an unpicklable part of it is replaced by its text."""
    try:
        return dumps_by_value(value)
    except Exception:
        # A record with a text in place of an object is better than none.
        return dumps_by_value(_picklable(value))


def relative_path(path: str, experiment_path: str) -> str:
    """Converts a path to the form in the database.

    Args:
        path: Absolute path.
        experiment_path: Directory of the experiment.
    """
    return os.path.relpath(path, experiment_path)


def absolute_path(path: str, experiment_path: str) -> str:
    """Converts a path in the form of the database back.

    Args:
        path: Path relative to the experiment's directory, or an absolute one.
        experiment_path: Directory of the experiment.
    """
    return os.path.normpath(os.path.join(experiment_path, path))


def _start_point_record(point: StartPoint | None, experiment_path: str) -> _StartPointRecord | None:
    if point is None:
        return None
    tracked = point.tracked
    # Only a checkpoint of the experiment moves with its directory.
    path = tracked.checkpoint.path
    path = path if point.owner_id is None else relative_path(path, experiment_path)
    metrics = without_config(tracked.metrics)
    return point.owner_id, tracked.index, path, metrics, point.kept_count


def _start_point_of(record: _StartPointRecord | None, experiment_path: str) -> StartPoint | None:
    if record is None:
        return None
    owner_id, index, path, metrics, kept_count = record
    checkpoint = Checkpoint(absolute_path(path, experiment_path))
    return StartPoint(TrackedCheckpoint(checkpoint, metrics, index), owner_id, kept_count)


def _error_record(error: BaseException | None) -> _ErrorRecord | None:
    if error is None:
        return None
    data: bytes | None = None
    with contextlib.suppress(Exception):
        data = dumps_by_value(error)
    return data, str(error), getattr(error, "traceback_text", "")


def _error_of(record: _ErrorRecord | None) -> BaseException | None:
    if record is None:
        return None
    data, text, traceback_text = record
    if data is not None:
        # Some exceptions can be pickled but not loaded.
        with contextlib.suppress(Exception):
            error = pickle.loads(data)
            if isinstance(error, BaseException):
                return error
    return TrialError(text, traceback_text=traceback_text)


def _picklable(value: Any) -> Any:
    """Replaces each part of a value that cannot be pickled by its text."""
    if isinstance(value, dict):
        return {_picklable(key): _picklable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_picklable, value))
    try:
        dumps_by_value(value)
    except Exception:
        return text_of(value)
    return value
