"""Converts trials to the bytes in the experiment's database, and back.

The record has two parts: ``origin``, which rarely changes (each change increases the trial's
``revision``), and ``progress``. Paths are relative to the experiment's directory, so that it can be
moved.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from types import NoneType
from typing import Any, TypeAlias

from localtune.checkpoint import Checkpoint
from localtune.error import TrialError
from localtune.result import CONFIG_PREFIX, EXPERIMENT_TAG, TIME_TOTAL_S
from localtune.trial.checkpoint_history import (
    CheckpointHistory,
    StartPoint,
    TrackedCheckpoint,
)
from localtune.trial.metric_analysis import update_metric_stats
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.utils.serialization import dumps_by_value
from localtune.utils.text import text_of

_ORIGIN = (
    "trainable_name",
    "trial_id",
    "config",
    "evaluated_params",
    "experiment_tag",
    "placement_group_factory",
    "stopping_criterion",
    "checkpoint_config",
    "log_to_file",
    "seed",
)
_PROGRESS = (
    "dirname",
    "custom_trial_name",
    "max_failures",
    "num_failures",
    "metric_stats",
    "result_count",
    "next_checkpoint_index",
    "start_time",
    "run_time_s",
)

# Types of the entries whose methods are called by readers.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "trainable_name": str,
    "trial_id": str,
    "config": dict,
    "evaluated_params": dict,
    "experiment_tag": str,
    "log_to_file": tuple,
    "dirname": (str, NoneType),
    "max_failures": (int, float),
    "num_failures": int,
    "metric_stats": dict,
    "result_count": int,
    "next_checkpoint_index": int,
    "start_time": (float, int, NoneType),
    "run_time_s": (float, int),
    "last_result": dict,
}

# (id of the trial that made it, number, path, metrics, number of results to keep)
_StartPointRecord: TypeAlias = "tuple[str | None, int, str, dict[str, Any], int | None]"

# (pickled error, text, traceback). The pickle is nested, since loading the class may fail.
_ErrorRecord: TypeAlias = "tuple[bytes | None, str, str]"


def origin_of(trial: Trial) -> bytes:
    """Returns the part of a trial's record that rarely changes."""
    return dump({name: getattr(trial, name) for name in _ORIGIN})


def progress_of(trial: Trial, experiment_path: str) -> bytes:
    """Returns the part of a trial's record that changes.

    Args:
        trial: The trial.
        experiment_path: Directory of the experiment.
    """
    progress = {name: getattr(trial, name) for name in _PROGRESS}
    # The other part contains the config.
    progress["last_result"] = without_config(trial.last_result)
    progress["start_point"] = _start_point_record(trial.start_point, experiment_path)
    progress["error"] = _error_record(trial.kept_error)
    progress["failed_tries"] = trial.failed_tries
    progress["own_files"] = trial.own_files
    progress["cut_short"] = trial.cut_short.value if trial.cut_short is not None else None
    return dump(progress)


def trial_of(
    status: str, origin: dict[str, Any], progress: dict[str, Any], experiment_path: str
) -> Trial:
    """Makes the trial of a record, without its checkpoints.

    Args:
        status: The trial's status.
        origin: The dict that :func:`origin_of` pickled.
        progress: The dict that :func:`progress_of` pickled.
        experiment_path: Directory of the experiment.

    Raises:
        Exception: any error, if the record is damaged.
    """
    for name, value in {**origin, **progress}.items():
        if not isinstance(value, _KINDS.get(name, object)):
            raise TypeError(f"the {name} of a trial is {type(value).__name__}")
    trial = Trial(origin.pop("trainable_name"), **origin)
    trial.experiment_path = experiment_path
    trial.status = Status(status)
    for name in _PROGRESS:
        setattr(trial, name, progress[name])
    trial.start_point = _start_point_of(progress["start_point"], experiment_path)
    trial.error = _error_of(progress["error"])
    trial.failed_tries = progress["failed_tries"]
    trial.own_files = progress["own_files"]
    cut_short = progress["cut_short"]
    trial.cut_short = Status(cut_short) if cut_short is not None else None
    config = {CONFIG_PREFIX: trial.config}
    trial.last_result = {**progress["last_result"], **config} if progress["last_result"] else {}
    trial.checkpoints = CheckpointHistory(trial.checkpoint_config)
    return trial


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
    return {key: value for key, value in result.items() if key != CONFIG_PREFIX}


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
