"""Makes a RunSpec from arguments: registers the trainable, adds defaults, checks all values."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.config.checks import config_of
from localtune.config.run import RunConfig
from localtune.config.spec import RunSpec
from localtune.config.tune import TuneConfig
from localtune.old_names import use as old
from localtune.old_names.arguments import CHECKPOINTS_OF_FUNCTION
from localtune.registry import add_trainable, get_trainable_cls, trainable_name
from localtune.running.build import as_scheduler
from localtune.running.derive import check_environment
from localtune.running.space_parameters import space_parameters
from localtune.search.coerce import as_search_algorithm
from localtune.search.rng import is_random_source
from localtune.search.space import SearchSpace
from localtune.stopper.coerce import as_stopper
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import is_function_trainable
from localtune.trial.export_format import ExportFormat
from localtune.utils.remote_store import is_uri, local_path
from localtune.utils.source import source_digest
from localtune.utils.timing import date_str

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory


def specify(
    trainable: Any,
    param_space: Mapping[str, Any] | None = None,
    tune_config: TuneConfig | None = None,
    run_config: RunConfig | None = None,
    *,
    resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None,
    export_formats: str | list[str] | None = None,
    restore: str | os.PathLike[str] | None = None,
    refuse: bool = True,
) -> RunSpec:
    """Makes the specification of a run. Later changes to the arguments do not change it.

    The configs inside ``run_config`` are shared with the caller; see
    :func:`~localtune.config.run.copy_of`.

    Args:
        trainable: A function, a Trainable class, or a registered name. It is registered.
        param_space: See :class:`~localtune.Tuner`.
        tune_config: See :class:`~localtune.Tuner`.
        run_config: See :class:`~localtune.Tuner`.
        resources_per_trial: Resource request, if the trainable has none of its own.
        export_formats: Formats that the trainable exports at the end of a trial.
        restore: Checkpoint directory, or its URI, that all trials start from.
        refuse: See :func:`~localtune.registry.add_trainable`.

    Raises:
        TuneError: for an object that is no trainable, or an unknown export format.
        ValueError: for a value that makes no sense.
    """
    name = register(trainable, refuse=refuse)
    tune_config = dataclasses.replace(config_of(TuneConfig, "tune_config", tune_config))
    run_config = dataclasses.replace(config_of(RunConfig, "run_config", run_config))
    run_config.checkpoint_config = _checkpoints_of(
        get_trainable_cls(name), run_config.checkpoint_config
    )
    if run_config.name is None:
        run_config.name = default_name(name)
    spec = RunSpec(
        name,
        as_param_space(param_space),
        tune_config,
        run_config,
        resources_per_trial,
        [export_formats] if isinstance(export_formats, str) else list(export_formats or []),
        _checkpoint_directory(restore),
        source_digest(trainable),
    )
    check_spec(spec)
    return spec


def check_spec(spec: RunSpec) -> None:
    """Checks the values of a specification that :class:`RunSpec` does not check itself.

    Raises:
        TuneError: for an unknown export format.
        ValueError: for an invalid search space, stop condition, search algorithm, scheduler, seed
            or callback; for checkpoints that the trainable cannot make.
    """
    trainable = get_trainable_cls(spec.trainable_name)
    tune_config, run_config = spec.tune_config, spec.run_config
    if not is_random_source(tune_config.seed):
        raise ValueError(
            f"seed must be a whole number, or None to draw one, but got {tune_config.seed!r}."
        )
    SearchSpace(spec.param_space)
    _check_trainable(spec, trainable)
    as_search_algorithm(tune_config.search_alg, tune_config.max_concurrent_trials)
    as_scheduler(tune_config.scheduler)
    as_stopper(run_config.stop)
    check_callbacks(run_config.callbacks)
    _check_checkpoints(spec.checkpoint_config, trainable)
    if trainable._export_model is Trainable._export_model:
        ExportFormat.validate(spec.export_formats)
    check_environment()


def _check_trainable(spec: RunSpec, trainable: type[Trainable]) -> None:
    config = spec.tune_config
    deciders = (config, config.scheduler, config.search_alg)
    metrics = (getattr(each, "metric", None) for each in deciders)
    trainable._check_run(
        space_parameters(spec.param_space),
        next((each for each in metrics if isinstance(each, str)), None),
        is_complete=config.search_alg is None,
    )


def register(trainable: Any, *, refuse: bool = True) -> str:
    """Registers a trainable under its own name, unless it is a registered name already.

    Args:
        trainable: The trainable.
        refuse: See :func:`~localtune.registry.add_trainable`.

    Raises:
        TuneError: if it is not a function, a Trainable class or a registered name.
    """
    if isinstance(trainable, str):
        get_trainable_cls(trainable)
        return trainable
    name = trainable_name(trainable)
    add_trainable(name, trainable, refuse=refuse)
    return name


def default_name(trainable_name: str) -> str:
    """Returns ``<trainable>_<date>_<random ending>``.

    The environment can reduce it to the trainable. No directory is made for the name; the random
    ending makes it unique.
    """
    name = trainable_name.replace("/", "_")
    if os.environ.get("TUNE_DISABLE_DATED_SUBDIR") == "1":
        return name
    return f"{name}_{date_str()}_{os.urandom(4).hex()}"


def as_param_space(param_space: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the search space as a dict.

    Raises:
        ValueError: if it is no mapping.
    """
    if param_space is None:
        return {}
    if hasattr(param_space, "to_dict") and not isinstance(param_space, Mapping):
        param_space = param_space.to_dict()
    if not isinstance(param_space, Mapping):
        raise ValueError(
            f"param_space must be a dict, but got {type(param_space).__name__}: {param_space!r}."
        )
    return {name: _copy_of_dicts(each) for name, each in param_space.items()}


def check_callbacks(callbacks: Any) -> None:
    """Raises ValueError if ``callbacks`` is neither None nor a list of callbacks."""
    from localtune.callback import Callback

    if callbacks is None:
        return
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks must be a list of Callback objects, but got {callbacks!r}.")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = " Pass an instance, not the class." if isinstance(callback, type) else ""
            raise ValueError(
                f"callbacks must be a list of Callback objects, but it has {callback!r}.{hint}"
            )


def can_save(trainable: type[Trainable]) -> bool:
    """Returns whether a class implements ``save_checkpoint``."""
    return trainable.save_checkpoint is not Trainable.save_checkpoint


def saves_at_end(spec: RunSpec) -> RunSpec:
    """Returns the specification with a value for ``checkpoint_at_end``: True if the class can save.

    The value is computed again when a run goes on, because the class may have changed.
    """
    config = spec.checkpoint_config
    if config.checkpoint_at_end is not None:
        return spec
    trainable = get_trainable_cls(spec.trainable_name)
    is_able = not is_function_trainable(trainable) and can_save(trainable)
    config = dataclasses.replace(config, checkpoint_at_end=is_able)
    run_config = dataclasses.replace(spec.run_config, checkpoint_config=config)
    return dataclasses.replace(spec, run_config=run_config)


def _copy_of_dicts(value: Any) -> Any:
    """A search space whose dicts are its own; other objects are shared."""
    if type(value) is dict:
        return {name: _copy_of_dicts(each) for name, each in value.items()}
    return value


def _checkpoints_of(
    trainable: type[Trainable], config: CheckpointConfig | None
) -> CheckpointConfig | None:
    """Returns the config for a trainable: nobody can ask a function for a checkpoint."""
    if config is None or not (config.checkpoint_frequency or config.checkpoint_at_end):
        return config
    if not is_function_trainable(trainable):
        return config
    changed: CheckpointConfig = old.translated(CHECKPOINTS_OF_FUNCTION, config, error=ValueError)
    return changed


def _check_checkpoints(config: CheckpointConfig, trainable: type[Trainable]) -> None:
    if (config.checkpoint_frequency or config.checkpoint_at_end) and not can_save(trainable):
        raise ValueError(
            f"checkpoint_frequency or checkpoint_at_end is set, but {trainable.__name__} cannot "
            "save: implement save_checkpoint and load_checkpoint."
        )


def _checkpoint_directory(path: str | os.PathLike[str] | None) -> str | None:
    """Returns the absolute path of a checkpoint to start from.

    Raises:
        ValueError: if it does not exist.
    """
    if path is None:
        return None
    if is_uri(os.fspath(path)):
        with Checkpoint(path).as_directory() as directory:
            return directory
    text = os.path.abspath(local_path(path))
    if not os.path.isdir(text):
        raise ValueError(f"restore must be the directory of a checkpoint, but {text!r} is none.")
    return text
