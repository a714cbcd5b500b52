"""Experiment: the arguments of ``tune.run`` for one trainable, as one object."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.spec import RunSpec
from localtune.config.sync import SyncConfig
from localtune.config.tune import TuneConfig
from localtune.error import TuneError
from localtune.old_names.arguments import old_arguments
from localtune.old_names.table import ROWS
from localtune.registry import get_trainable_cls
from localtune.running.directory import directory_of
from localtune.running.specify import check_spec, specify
from localtune.stopper.coerce import as_stopper
from localtune.utils.text import did_you_mean

if TYPE_CHECKING:
    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.trainable import Trainable
    from localtune.trial.trial import Trial

# The constructor refuses or translates them, also as entries of a dict.
_OLD_ARGUMENTS = {row.member for row in ROWS if row.owner == "Experiment"}


class Experiment:
    """The arguments of :func:`~localtune.run` for one trainable.

    Args:
        name: Name of the experiment's directory; None makes one of the trainable's name, the
            time and a random ending.
        run: A function, a Trainable class, or a registered name.
        stop: Stop conditions, see :class:`~localtune.RunConfig`.
        time_budget_s: Seconds after which everything is stopped.
        config: Search space.
        resources_per_trial: Resource request, if the trainable has none of its own.
        num_samples: See :class:`~localtune.TuneConfig`.
        storage_path: See :class:`~localtune.RunConfig`.
        storage_filesystem: See :class:`~localtune.RunConfig`.
        sync_config: See :class:`~localtune.SyncConfig`.
        checkpoint_config: See :class:`~localtune.CheckpointConfig`.
        trial_name_creator: ``trial -> str``.
        trial_dirname_creator: ``trial -> str``.
        log_to_file: See :class:`~localtune.RunConfig`.
        export_formats: Formats that :meth:`Trainable.export_model` writes at the end of a trial.
        max_failures: How often a trial is retried; -1 is without end.
        restore: Checkpoint directory, or its URI, that all trials start from.

    Attributes:
        run_spec: The specification of the run.
        stopper: The stop conditions.

    Raises:
        TuneError: for an object that is no trainable.
        ValueError: for a value that makes no sense.
    """

    @old_arguments("Experiment")
    def __init__(
        self,
        name: str | None,
        run: Any,
        *,
        stop: Any = None,
        time_budget_s: float | datetime.timedelta | None = None,
        config: Mapping[str, Any] | None = None,
        resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None,
        num_samples: int = 1,
        storage_path: str | os.PathLike[str] | None = None,
        storage_filesystem: Any = None,
        sync_config: SyncConfig | None = None,
        checkpoint_config: CheckpointConfig | None = None,
        trial_name_creator: Callable[[Trial], str] | None = None,
        trial_dirname_creator: Callable[[Trial], str] | None = None,
        log_to_file: bool | str | tuple[str | None, str | None] = False,
        export_formats: str | list[str] | None = None,
        max_failures: int = 0,
        restore: str | os.PathLike[str] | None = None,
    ) -> None:
        self.run_spec = specify(
            run,
            config,
            TuneConfig(
                num_samples=num_samples,
                time_budget_s=time_budget_s,
                trial_name_creator=trial_name_creator,
                trial_dirname_creator=trial_dirname_creator,
            ),
            RunConfig(
                name=name,
                storage_path=storage_path,
                storage_filesystem=storage_filesystem,
                failure_config=FailureConfig(max_failures=max_failures),
                checkpoint_config=checkpoint_config,
                sync_config=sync_config,
                stop=stop,
                log_to_file=log_to_file,
            ),
            resources_per_trial=resources_per_trial,
            export_formats=export_formats,
            restore=restore,
        )
        self.stopper = as_stopper(stop)
        self._directory = directory_of(self.run_spec.run_config)

    @classmethod
    def from_json(cls, name: str, spec: Mapping[str, Any]) -> Experiment:
        """Makes an experiment from a dict.

        Args:
            name: Name of the experiment.
            spec: Arguments of the constructor, and ``run``; ``env`` goes into the config.

        Raises:
            TuneError: if ``run`` is missing, for an unknown key, or a value that makes no sense.
        """
        arguments = dict(spec)
        if "run" not in arguments:
            raise TuneError(f"The experiment {name!r} needs a 'run' entry: the trainable.")
        known = {"run", "env", *cls.__init__.__annotations__} - {"return", "name"}
        known |= {row.member for row in ROWS if row.owner == "Experiment"}
        for key in arguments.keys() - _OLD_ARGUMENTS:
            if key not in known:
                hint = did_you_mean(key, known)
                raise TuneError(
                    f"The experiment {name!r} has an entry that is not known: {key!r}.{hint}"
                )
        if "env" in arguments:
            arguments["config"] = {**arguments.get("config", {}), "env": arguments.pop("env")}
        run = arguments.pop("run")
        try:
            return cls(name, run, **arguments)
        except (TypeError, ValueError) as error:
            raise TuneError(f"The experiment {name!r} cannot be run: {error}") from error

    @property
    def name(self) -> str:
        """Name of the experiment's directory."""
        return self.run_spec.name

    @property
    def run_identifier(self) -> str:
        """Name that the trainable is registered under."""
        return self.run_spec.trainable_name

    @property
    def trainable(self) -> type[Trainable]:
        """The trainable class."""
        return get_trainable_cls(self.run_identifier)

    @property
    def config(self) -> dict[str, Any]:
        """Search space."""
        return self.run_spec.param_space

    @property
    def num_samples(self) -> int:
        """How many times the search space is sampled."""
        return self.run_spec.tune_config.num_samples

    @property
    def checkpoint_config(self) -> CheckpointConfig:
        """When checkpoints are made and which are kept."""
        return self.run_spec.checkpoint_config

    @property
    def path(self) -> str:
        """Directory of the experiment."""
        return self._directory.path

    local_path = path

    @property
    def remote_path(self) -> str:
        """URI of the experiment's place in its remote storage; without one, its directory."""
        return self._directory.remote_path

    @property
    def spec(self) -> dict[str, Any]:
        """The experiment as a dict."""
        spec = self.run_spec
        return {
            **spec.public,
            "run": self.run_identifier,
            "config": self.config,
            "resources_per_trial": spec.resources_per_trial,
            "checkpoint_config": self.checkpoint_config,
            "export_formats": spec.export_formats,
            "max_failures": spec.failure_config.max_failures,
            "restore": spec.restore,
        }

    @property
    def public_spec(self) -> dict[str, Any]:
        """The part of the spec that searchers and schedulers get."""
        return self.run_spec.public


def spec_with(experiment: Experiment, tune_config: TuneConfig, run_config: RunConfig) -> RunSpec:
    """Returns the specification of an experiment, completed from two configs.

    Args:
        experiment: Its values take precedence.
        tune_config: Has values that an Experiment has no argument for.
        run_config: Has values that an Experiment has no argument for.

    Raises:
        ValueError: if values contradict each other.
    """
    spec = experiment.run_spec
    assert run_config.failure_config is not None
    failure_config = dataclasses.replace(
        run_config.failure_config, max_failures=spec.failure_config.max_failures
    )
    spec = dataclasses.replace(
        spec,
        tune_config=dataclasses.replace(tune_config, **_own(spec.tune_config)),
        run_config=dataclasses.replace(
            run_config, failure_config=failure_config, **_own(spec.run_config)
        ),
    )
    check_spec(spec)
    return spec


def _own(config: TuneConfig | RunConfig) -> dict[str, Any]:
    """Returns {field: value} of the fields of a config that an Experiment has arguments for."""
    arguments = Experiment.__init__.__annotations__
    names = (each.name for each in dataclasses.fields(config))
    return {name: getattr(config, name) for name in names if name in arguments}
