"""export_study: writes an experiment as a study of Optuna, for tools such as optuna-dashboard."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

from localtune.config.spec import RunSpec
from localtune.error import ExtraMissingError, UsageError
from localtune.result import CONFIG_PREFIX, TRAINING_ITERATION, TUNER_FILE
from localtune.trial.status import Status
from localtune.utils.best import is_number
from localtune.utils.dicts import flatten_dict, unflattened_lookup
from localtune.utils.json_encode import dumps

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

    from localtune.analysis.reader import SavedExperiment
    from localtune.trial.trial import Trial

# Larger numbers do not fit into all databases of Optuna.
_LARGEST = 1e300
# The first bytes of an SQLite file.
_SQLITE = b"SQLite format 3\0"


def export_study(saved: SavedExperiment, path: str, *, replace: bool = False) -> int:
    """Writes an experiment as a study of the same name.

    Args:
        saved: The experiment, with metric and mode.
        path: Path of the SQLite file, which is created if it is missing.
        replace: Whether a study of that name may be replaced.

    Returns:
        The number of trials in the study.

    Raises:
        UsageError: if metric or mode is missing, or the study exists.
        ExtraMissingError: if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ExtraMissingError("optuna", "optuna", "An export to Optuna") from None
    metric, mode = saved.metric, saved.mode
    if metric is None or mode is None:
        raise UsageError("A study needs a metric and a mode. Add --metric NAME --mode min|max.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _check_file(path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        names = [each.study_name for each in optuna.get_all_study_summaries(storage)]
        if saved.name in names:
            if not replace:
                raise UsageError(
                    f"{path!r} has a study {saved.name!r} already. Replace it with --force."
                )
            optuna.delete_study(study_name=saved.name, storage=storage)
        study = optuna.create_study(
            storage=storage,
            study_name=saved.name,
            direction="minimize" if mode == "min" else "maximize",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([metric])
        study.set_user_attr("experiment", os.path.abspath(saved.path))
        distributions = _distributions(saved)
        study.add_trials(
            _frozen(number, trial, results, metric, distributions)
            for number, (trial, results) in enumerate(saved.histories())
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return len(saved.trials)


def _check_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        start = file.read(len(_SQLITE))
        if start and start != _SQLITE:
            raise UsageError(f"{path!r} exists and is no SQLite file. Choose another path.")


def _frozen(
    number: int,
    trial: Trial,
    results: list[dict[str, Any]],
    metric: str,
    known: dict[str, BaseDistribution],
) -> FrozenTrial:
    """Returns a trial as a frozen trial of Optuna."""
    from optuna.trial import FrozenTrial, TrialState

    value = unflattened_lookup(metric, trial.last_result, default=None)
    value = float(value) if is_number(value) and abs(value) <= _LARGEST else None
    state = _state_of(trial, value)
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    others: dict[str, Any] = {}
    for name, item in _flat_config(trial).items():
        if name in known and known[name]._contains(_internal(known[name], item)):
            params[name], distributions[name] = item, known[name]
        else:
            others[name] = item
    has_started = trial.start_time is not None
    start = datetime.datetime.fromtimestamp(trial.start_time) if trial.start_time else None
    end = start + datetime.timedelta(seconds=trial.run_time_s) if start else None
    if state is not TrialState.WAITING and not has_started:
        start = end = datetime.datetime.now()
    return FrozenTrial(
        number=number,
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        datetime_start=start,
        datetime_complete=end if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs=_attributes(trial, others),
        system_attrs={},
        intermediate_values=_intermediate(results, metric),
        trial_id=number,
    )


def _state_of(trial: Trial, value: float | None) -> TrialState:
    from optuna.trial import TrialState

    if trial.status is Status.TERMINATED:
        return TrialState.COMPLETE if value is not None else TrialState.FAIL
    if trial.status is Status.ERROR:
        return TrialState.FAIL
    return TrialState.RUNNING if trial.result_count else TrialState.WAITING


def _attributes(trial: Trial, others: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"trial_id": trial.trial_id, "status": trial.status.value}
    error = trial.get_error()
    if error is not None:
        attributes["error"] = str(error)[:1000]
    for name, item in others.items():
        # Constants, and values that their distribution does not contain.
        is_plain = item is None or isinstance(item, (bool, int, float, str))
        attributes[f"{CONFIG_PREFIX}/{name}"] = item if is_plain else dumps(item)
    return attributes


def _intermediate(results: list[dict[str, Any]], metric: str) -> dict[int, float]:
    """Returns {iteration: value} of the metric."""
    values = {}
    for number, result in enumerate(results, 1):
        value = unflattened_lookup(metric, result, default=None)
        if is_number(value) and (math.isnan(value) or abs(value) <= _LARGEST):
            step = result.get(TRAINING_ITERATION, number)
            values[step if isinstance(step, int) else number] = float(value)
    return values


def _distributions(saved: SavedExperiment) -> dict[str, BaseDistribution]:
    """Returns {flat parameter: distribution}, from the search space or else from the values."""
    found = _distributions_of_values(saved.trials)
    with contextlib.suppress(Exception):
        # If Optuna cannot express the space, or its modules are missing, the values are used.
        space = RunSpec.load_field(saved.files[TUNER_FILE], "param_space")
        from localtune.search.convert import ConvertedSpace
        from localtune.search.optuna.spaces import distribution
        from localtune.search.sample import without_grids
        from localtune.search.shapes import Options

        plain = without_grids(space)
        for each in ConvertedSpace(plain, "Optuna", conditional=True).parameters:
            # Options are exported as their values.
            if each.condition is None and not isinstance(each.shape, Options):
                found[each.name] = distribution(each)
    return found


def _distributions_of_values(trials: list[Trial]) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    values: dict[str, list[Any]] = {}
    for trial in trials:
        config = _flat_config(trial)
        for name in trial.evaluated_params:
            if name in config:
                values.setdefault(name, []).append(config[name])
    found: dict[str, BaseDistribution] = {}
    for name, items in values.items():
        if all(type(item) is int and abs(item) <= _LARGEST for item in items):
            found[name] = IntDistribution(min(items), max(items))
        elif all(type(item) in (int, float) and abs(item) <= _LARGEST for item in items):
            found[name] = FloatDistribution(float(min(items)), float(max(items)))
        elif all(item is None or isinstance(item, (bool, int, float, str)) for item in items):
            choices = {(type(item), item): item for item in items}
            found[name] = CategoricalDistribution(tuple(choices.values()))
    return found


def _flat_config(trial: Trial) -> dict[str, Any]:
    """Returns {flat name: value}, with NumPy's numbers as Python's, and huge integers as text."""
    return {name: _known_to_optuna(value) for name, value in flatten_dict(trial.config).items()}


def _known_to_optuna(value: Any) -> Any:
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value


def _internal(distribution: BaseDistribution, value: Any) -> float:
    try:
        return float(distribution.to_internal_repr(value))
    except (TypeError, ValueError, OverflowError):
        return math.nan
