"""RunSpec: the complete specification of a run, in one value.

    Tuner(...), tune.run(...), Experiment(...), a sweep file
        --> RunSpec --save--> tuner.pkl --load--> RunSpec
              |
              +--> searcher, scheduler, executor, trials

An option is declared in the config that owns it, or here if only ``tune.run`` offers it.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.checks import config_of
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.sync import SyncConfig
from localtune.config.tune import TuneConfig
from localtune.error import StorageError
from localtune.resources import PlacementGroupFactory, resource_dict_to_pg_factory
from localtune.utils.serialization import dumps, lacks_own_module, other_version, same_pickle


@dataclass(frozen=True)
class RunSpec:
    """The complete specification of a run.

    :func:`localtune.running.specify.specify` makes it from arguments, with all checks.

    Attributes:
        trainable_name: Name that the trainable is registered under.
        param_space: The search space.
        tune_config: What to optimise, with how many trials.
        run_config: Where to keep the run, when to stop it; with a name.
        resources_per_trial: Resource request, if the trainable has none of its own.
        export_formats: Formats that :meth:`Trainable.export_model` writes at the end of a trial.
        restore: Absolute path of a checkpoint that all trials start from; None is from scratch.
        source: Digest of the trainable's text; None if its text is not known.

    Raises:
        ValueError: for a value that makes no sense.
    """

    trainable_name: str
    param_space: dict[str, Any] = field(default_factory=dict)
    tune_config: TuneConfig = field(default_factory=TuneConfig)
    run_config: RunConfig = field(default_factory=RunConfig)
    resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None
    export_formats: list[str] = field(default_factory=list)
    restore: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.trainable_name, str):
            raise ValueError(
                f"trainable_name must be the name of a trainable, but got {self.trainable_name!r}."
            )
        _check_space(self.param_space)
        config_of(TuneConfig, "tune_config", self.tune_config)
        config_of(RunConfig, "run_config", self.run_config)
        resource_dict_to_pg_factory(self.resources_per_trial)
        if not all(isinstance(each, str) and each for each in self.export_formats):
            raise ValueError(
                f"export_formats must be a list of names, but got {self.export_formats!r}."
            )

    @property
    def name(self) -> str:
        """Name of the experiment's directory."""
        assert self.run_config.name is not None
        return self.run_config.name

    @property
    def failure_config(self) -> FailureConfig:
        """How the run handles failed trials."""
        assert self.run_config.failure_config is not None
        return self.run_config.failure_config

    @property
    def checkpoint_config(self) -> CheckpointConfig:
        """When checkpoints are made and which are kept."""
        assert self.run_config.checkpoint_config is not None
        return self.run_config.checkpoint_config

    @property
    def sync_config(self) -> SyncConfig:
        """How the experiment is uploaded."""
        assert self.run_config.sync_config is not None
        return self.run_config.sync_config

    @property
    def stop_bounds(self) -> dict[str, Any]:
        """The stop conditions that were given as ``{metric: bound}``; empty for others."""
        stop = self.run_config.stop
        return dict(stop) if isinstance(stop, Mapping) else {}

    @property
    def public(self) -> dict[str, Any]:
        """The part of the specification that searchers and schedulers are told."""
        return {
            "stop": self.stop_bounds,
            "num_samples": self.tune_config.num_samples,
            "time_budget_s": self.tune_config.budget_s,
        }

    # -- saving -----------------------------------------------------------------------------------

    def save(self) -> bytes:
        """Returns the specification as bytes: a pickled dict with a pickle of each field.

        The file system object is left out: it may hold credentials. Callbacks and the progress
        reporter are left out if they cannot be pickled.

        Raises:
            TypeError: if another part cannot be pickled; the error names the variable.
        """
        run_config = copy.copy(self.run_config)
        run_config.storage_filesystem = None
        saved = {each.name: getattr(self, each.name) for each in fields(self)}
        del saved["run_config"]
        pickles = {name: dumps(value, name) for name, value in saved.items()}
        try:
            pickles["run_config"] = dumps(run_config, "run_config")
        except TypeError:
            # A callback may hold an object that cannot be pickled, an open connection for instance.
            run_config.callbacks = run_config.progress_reporter = None
            pickles["run_config"] = dumps(run_config, "run_config")
        return pickle.dumps(pickles)

    @classmethod
    def load(cls, content: bytes) -> RunSpec:
        """Returns the specification that :meth:`save` has returned as bytes.

        Raises:
            Exception: any, if ``content`` is damaged or names code that is not there.
        """
        pickles = pickle.loads(content)
        return cls(**{each.name: _loaded(pickles, each.name) for each in fields(cls)})

    @classmethod
    def load_field(cls, content: bytes, name: str) -> Any:
        """One field of a saved specification; others may name code that is not there.

        Args:
            content: What :meth:`save` returned.
            name: The field.

        Raises:
            Exception: any, if ``content`` is damaged or names code that is not there.
        """
        return _loaded(pickle.loads(content), name)


def _loaded(pickles: Any, name: str) -> Any:
    """One field of what a file holds.

    Raises:
        StorageError: for a file of another version of localtune.
    """
    if not isinstance(pickles[name], bytes):
        raise StorageError(other_version(f"its {name} is not a pickle"))
    try:
        return pickle.loads(pickles[name])
    except Exception as error:
        if lacks_own_module(error):
            raise StorageError(other_version(error)) from error
        raise


def is_saved_space(content: bytes, space: dict[str, Any]) -> bool:
    """Returns whether a saved specification has exactly this search space.

    Args:
        content: What :meth:`RunSpec.save` returned.
        space: The search space.
    """
    # A space that was loaded may have another pickle.
    return same_pickle(pickle.loads(content)["param_space"], dumps(space, "param_space"))


def _check_space(space: dict[Any, Any]) -> None:
    for name in space:
        if not isinstance(name, str):
            raise ValueError(
                f"The names of parameters must be texts, but the search space has {name!r}. "
                f"Name it {str(name)!r}; dicts inside may have other keys."
            )
