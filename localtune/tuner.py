"""Tuner: the main entry."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from localtune.analysis.experiment_analysis import ExperimentAnalysis
from localtune.analysis.result_grid import ResultGrid
from localtune.config.checkpoint import CheckpointConfig
from localtune.config.checks import config_of
from localtune.config.resume import ResumeConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.error import StorageError, TuneError
from localtune.registry import get_trainable_cls
from localtune.result import TUNER_FILE
from localtune.running.build import check_callbacks, check_options, limits_of
from localtune.running.experiment import Experiment, can_save, register
from localtune.running.options import RunOptions, Start
from localtune.running.runner import run_experiment
from localtune.running.taken import check_taken_early, keys_of
from localtune.storage.experiment_db import has_database
from localtune.storage.reading import read_files
from localtune.storage.remote import (
    attach_path,
    has_experiment,
    needs_store,
    split_path,
)
from localtune.trainable.parameters import dumps_with_parameters
from localtune.trainable.util import is_function_trainable
from localtune.utils.messages import get_logger
from localtune.utils.remote_store import local_path, open_store
from localtune.utils.serialization import dumps
from localtune.utils.source import source_digest
from localtune.utils.trust import GuardedDirectory

if TYPE_CHECKING:
    from localtune.execution.executor import Executor

logger = get_logger(__name__)

# What of a saved Tuner carries the state of a run: deciders and stop conditions.
_CONFIGS = ("tune_config", "run_config")


class Tuner:
    """Searches for the best configuration of a trainable.

    Args:
        trainable: A function of one argument (the config), a subclass of
            :class:`~localtune.Trainable`, or a registered name.
        param_space: Search space: a dict of constants, domains (``tune.uniform(...)``), grids
            (``tune.grid_search([...])``) and dicts of these.
        tune_config: What to optimise, with how many trials.
        run_config: Where to keep the run, when to stop it.
        executor: Where trials run: None is one process each, ``"inprocess"`` is this process
            (for debuggers), or an instance such as ``ProcessExecutor(num_cpus=4)``.

    Raises:
        TuneError: without a trainable, or for one that is none.
        ValueError: for a value that makes no sense.
        TypeError: for a trainable that cannot be sent to workers; names the variable to blame.
        StorageError: if the experiment's directory could not be written. Nothing is written
            before :meth:`fit`.
        ExperimentExistsError: if the name is taken, with ``RunConfig(if_exists="error")``.

    Example:
        >>> import localtune as tune
        >>> def objective(config):
        ...     tune.report({"score": config["x"] ** 2})
        >>> tuner = tune.Tuner(
        ...     objective,
        ...     param_space={"x": tune.uniform(-1, 1)},
        ...     tune_config=tune.TuneConfig(metric="score", mode="min", num_samples=4),
        ... )
        >>> best = tuner.fit().get_best_result()  # doctest: +SKIP
    """

    def __init__(
        self,
        trainable: str | type | Callable[..., Any] | None = None,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
        executor: Executor | str | None = None,
    ) -> None:
        if trainable is None:
            raise TuneError("A Tuner needs a trainable: a function, a Trainable class, or a name.")
        self._run_identifier = register(trainable)
        self._trust = False
        self._source = source_digest(trainable)
        self._param_space = check_param_space(param_space)
        self._tune_config = copy.copy(config_of(TuneConfig, "tune_config", tune_config))
        self._run_config = copy.copy(config_of(RunConfig, "run_config", run_config))
        self._executor = executor
        self._resume: ResumeConfig | None = None
        self._run: int | None = None
        self._analysis: ExperimentAnalysis | None = None
        self._is_used = False
        self._was_interrupted = False
        # Whatever can be known to be wrong is told now. Nothing is written before fit().
        dumps_with_parameters(get_trainable_cls(self._run_identifier), name="The trainable")
        self._start = Start(if_exists=self._run_config.if_exists)
        check_options(self._options())
        self._saved = self._pickled()
        self._start.files[TUNER_FILE] = pickle.dumps(self._saved)
        experiment = self._experiment()
        experiment.check_storage()
        check_taken_early(experiment, self._start)
        self._run_config.name = experiment.name
        self._path = experiment.path

    # -- running --------------------------------------------------------------------------------

    def fit(self) -> ResultGrid:
        """Runs the search.

        Called again, it runs the search once more, in the same directory.

        Returns:
            The results of all trials, failed ones included.

        Raises:
            TuneError: if the run itself failed (not: a trial), or a trial did with
                ``fail_fast="raise"``.
            ValueError: for a search space or a setting that cannot be used.
        """
        if self._is_used:
            self._renew()
        self._is_used = True
        outcome = run_experiment(self._experiment(), self._options())
        self._was_interrupted = outcome.was_interrupted
        self._resume = self._run = None
        self._analysis = ExperimentAnalysis(
            self._path,
            trials=outcome.trials,
            default_metric=self._tune_config.metric,
            default_mode=self._tune_config.mode,
        )
        return ResultGrid(self._analysis)

    def _renew(self) -> None:
        """Takes deciders as they were before the last run: they carry its state."""
        tune_config, run_config = (pickle.loads(self._saved[k]) for k in _CONFIGS)
        self._tune_config.search_alg = tune_config.search_alg
        self._tune_config.scheduler = tune_config.scheduler
        self._run_config.stop = run_config.stop

    def _options(self) -> RunOptions:
        config, run_config = self._tune_config, self._run_config
        assert run_config.failure_config is not None
        return RunOptions(
            metric=config.metric,
            mode=config.mode,
            search_alg=config.search_alg,
            scheduler=config.scheduler,
            max_concurrent_trials=config.max_concurrent_trials,
            reuse_actors=config.reuse_actors,
            fail_fast=run_config.failure_config.fail_fast,
            limits=limits_of(run_config.failure_config),
            callbacks=check_callbacks(run_config.callbacks or []),
            verbose=int(run_config.verbose or 0),
            progress_reporter=run_config.progress_reporter,
            executor=self._executor,
            seed=config.seed,
            resume=self._resume if self._resume is not None else self._resume_if_taken(),
            run=self._run,
            trust=self._trust,
            start=self._start,
        )

    def _resume_if_taken(self) -> ResumeConfig | None:
        is_wanted = self._start.if_exists == "resume" and not self._start.is_own
        return ResumeConfig() if is_wanted else None

    def get_results(self) -> ResultGrid:
        """The results of the last :meth:`fit`, or those found by :meth:`restore`.

        Raises:
            RuntimeError: before either.
        """
        if self._analysis is None:
            raise RuntimeError("There are no results yet: call fit() first.")
        return ResultGrid(self._analysis)

    @property
    def path(self) -> str:
        """Directory of the experiment on this machine."""
        return self._path

    @property
    def was_interrupted(self) -> bool:
        """Whether the user ended the last :meth:`fit` early, by Ctrl-C for instance."""
        return self._was_interrupted

    def _experiment(self) -> Experiment:
        config, run_config = self._tune_config, self._run_config
        assert run_config.failure_config is not None and run_config.checkpoint_config is not None
        trainable = get_trainable_cls(self._run_identifier)
        return Experiment(
            run_config.name,
            self._run_identifier,
            stop=run_config.stop,
            time_budget_s=config.time_budget_s,
            config=self._param_space,
            num_samples=config.num_samples,
            storage_path=run_config.storage_path,
            storage_filesystem=run_config.storage_filesystem,
            sync_config=run_config.sync_config,
            checkpoint_config=_resolved(run_config.checkpoint_config, trainable),
            trial_name_creator=config.trial_name_creator,
            trial_dirname_creator=config.trial_dirname_creator,
            log_to_file=run_config.log_to_file,
            max_failures=run_config.failure_config.max_failures,
        )

    # -- going on with an earlier run -----------------------------------------------------------

    @classmethod
    def can_restore(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> bool:
        """Whether a directory holds an experiment that :meth:`restore` can take up.

        There is none before :meth:`fit`: making a Tuner writes nothing.

        Args:
            path: Directory of the experiment, or its URI.
            storage_filesystem: See :class:`~localtune.RunConfig`.

        Raises:
            StorageError: if the remote storage cannot be reached.
        """
        if needs_store(path, storage_filesystem):
            return has_experiment(open_store(os.fspath(path), storage_filesystem))
        return os.path.isfile(os.path.join(local_path(path), TUNER_FILE))

    @classmethod
    def restore(
        cls,
        path: str | os.PathLike[str],
        trainable: str | type | Callable[..., Any],
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        param_space: Mapping[str, Any] | None = None,
        storage_filesystem: Any = None,
        _resume_config: ResumeConfig | None = None,
        *,
        executor: Executor | str | None = None,
        trust: bool = False,
        run: int | None = None,
    ) -> Tuner:
        """Takes up an experiment that was interrupted, or whose trials failed.

        Args:
            path: Directory of the experiment; it may have been moved. Or its URI.
            trainable: The trainable of the experiment, as it was given to the Tuner.
            resume_unfinished: Whether trials that did not end go on from their checkpoints.
            resume_errored: Whether failed trials go on from their checkpoints.
            restart_errored: Whether failed trials start anew.
            param_space: The search space again, if it holds objects that do not survive a
                restart; must have the same keys.
            storage_filesystem: See :class:`~localtune.RunConfig`.
            executor: See :class:`Tuner`.
            trust: Read the experiment though another user could have written it.
            run: Number of the run that is taken up, from 1; None is the latest.

        Returns:
            A Tuner; call :meth:`fit` to go on.

        Raises:
            FileNotFoundError: if there is no experiment at ``path``.
            ValueError: if trainable or search space are not those of the experiment, or if there
                is no such run.
        """
        if needs_store(path, storage_filesystem):
            directory = attach_path(path, storage_filesystem)
        else:
            directory = os.path.abspath(local_path(path))
        if not os.path.lexists(os.path.join(directory, TUNER_FILE)):
            raise FileNotFoundError(
                f"There is no experiment to restore at {directory!r}: it has no {TUNER_FILE}."
            )
        saved = _saved_of(directory, run, trust)
        saved_space = pickle.loads(saved["param_space"])
        tuner = cls.__new__(cls)
        tuner._run_identifier = register(trainable)
        if tuner._run_identifier != saved["trainable_name"]:
            raise ValueError(
                f"The experiment ran the trainable {saved['trainable_name']!r}, but got "
                f"{tuner._run_identifier!r}. Pass the one that it was started with."
            )
        tuner._trust = trust
        tuner._source = source_digest(trainable)
        before = saved["source"]
        if None not in (tuner._source, before) and tuner._source != before:
            logger.warning(
                "The code of %s is not what it was when the experiment was started: trials that "
                "go on from a checkpoint go on with the new code.",
                tuner._run_identifier,
            )
        tuner._param_space = saved_space
        if param_space is not None:
            tuner._param_space = check_param_space(param_space)
            _check_same_keys(tuner._param_space, saved_space)
            given = dumps(tuner._param_space, "param_space")
            if given != saved["param_space"]:
                saved = {**saved, "param_space": given}
                logger.warning(
                    "param_space is not what it was: trials that go on take its constants and "
                    "objects and keep what was drawn for them; new ones are drawn from it."
                )
        tuner._tune_config = pickle.loads(saved["tune_config"])
        tuner._run_config = pickle.loads(saved["run_config"])
        if needs_store(path, storage_filesystem):
            place = split_path(path)
            tuner._run_config.storage_filesystem = storage_filesystem
        else:
            place = os.path.split(directory)
        tuner._run_config.storage_path, tuner._run_config.name = place
        tuner._path = directory
        tuner._executor = executor
        tuner._saved = saved
        tuner._start = Start({TUNER_FILE: pickle.dumps(saved)}, is_own=True)
        tuner._is_used = False
        tuner._was_interrupted = False
        tuner._run = run
        tuner._resume = _resume_config or _resume_of(
            resume_unfinished, resume_errored, restart_errored
        )
        tuner._analysis = ExperimentAnalysis(
            directory,
            # A run that was killed before its first trial has recorded none.
            trials=None if has_database(directory) else [],
            run=run,
            trust=trust,
            default_metric=tuner._tune_config.metric,
            default_mode=tuner._tune_config.mode,
        )
        return tuner

    def __getattribute__(self, name: str) -> Any:
        if name == "restore":
            raise AttributeError("restore is a class method: call Tuner.restore(path, trainable).")
        return super().__getattribute__(name)

    def _pickled(self) -> dict[str, Any]:
        """What :meth:`restore` needs."""
        run_config = copy.copy(self._run_config)
        # It may hold credentials, which have no place in a store.
        run_config.storage_filesystem = None
        saved = {
            "trainable_name": self._run_identifier,
            "source": self._source,
            "param_space": dumps(self._param_space, "param_space"),
            "tune_config": dumps(self._tune_config, "tune_config"),
        }
        try:
            saved["run_config"] = dumps(run_config, "run_config")
        except TypeError:
            # A callback may hold what cannot be kept, an open connection for instance.
            run_config.callbacks = run_config.progress_reporter = None
            saved["run_config"] = dumps(run_config, "run_config")
        return saved


def _saved_of(directory: str, run: int | None, trust: bool) -> dict[str, Any]:
    """What the Tuner of a run was given.

    The database says it, if it knows the run: the file in the directory may be that of a run
    which was killed before it had begun.
    """
    if run is None:
        # It is not passed over when it is damaged: something is wrong with the directory.
        with GuardedDirectory(directory, trust=trust) as guarded:
            _loaded(directory, lambda: guarded.load(TUNER_FILE))
    content = read_files(directory, run, trust=trust).get(TUNER_FILE)
    if content is None:
        raise StorageError(
            f"{'The latest run' if run is None else f'The run {run}'} of {directory!r} cannot be "
            "taken up: what it was started with is not on record. It was no Tuner, or one of an "
            "earlier version."
        )
    return _loaded(directory, lambda: pickle.loads(content))


# What is a pickle of its own in what a Tuner was given.
_PICKLED = {"param_space": dict, "tune_config": TuneConfig, "run_config": RunConfig}


def _loaded(directory: str, load: Callable[[], Any]) -> dict[str, Any]:
    """What a Tuner was given, if it is that.

    Raises:
        StorageError: if it is damaged.
    """
    try:
        found: dict[str, Any] = load()
        # Whatever else it holds is none.
        found = {key: found[key] for key in found.keys() | {"source", "trainable_name"}}
        for name, kind in _PICKLED.items():
            if not isinstance(pickle.loads(found[name]), kind):
                raise TypeError(f"{name} is none")
        return found
    except (OSError, ImportError):
        raise
    except Exception as error:
        raise StorageError(
            f"{os.path.join(directory, TUNER_FILE)!r} is damaged: {error!r}. Put back a copy of "
            "it, or go on with tune.run(..., resume=True), which needs none."
        ) from error


def check_param_space(param_space: Mapping[str, Any] | None) -> dict[str, Any]:
    """The search space as a dict.

    Raises:
        ValueError: if it is none.
    """
    if param_space is None:
        return {}
    if hasattr(param_space, "to_dict") and not isinstance(param_space, Mapping):
        param_space = param_space.to_dict()
    if not isinstance(param_space, Mapping):
        raise ValueError(
            f"param_space must be a dict, but got {type(param_space).__name__}: {param_space!r}."
        )
    return dict(param_space)


def _resolved(config: CheckpointConfig, trainable: type[Any]) -> CheckpointConfig:
    """The config with ``checkpoint_at_end`` decided: on for classes that can save."""
    if config.checkpoint_at_end is not None:
        return config
    config = copy.copy(config)
    config.checkpoint_at_end = not is_function_trainable(trainable) and can_save(trainable)
    return config


def _resume_of(
    resume_unfinished: bool, resume_errored: bool, restart_errored: bool
) -> ResumeConfig:
    kind = ResumeConfig.ResumeType
    errored = kind.SKIP
    if restart_errored:
        errored = kind.RESTART
    elif resume_errored:
        errored = kind.RESUME
    return ResumeConfig(unfinished=kind.RESUME if resume_unfinished else kind.SKIP, errored=errored)


def _check_same_keys(given: dict[str, Any], saved: dict[str, Any]) -> None:
    given_keys, saved_keys = set(keys_of(given)), set(keys_of(saved))
    if given_keys != saved_keys:
        raise ValueError(
            "param_space must have the keys that the experiment was started with. "
            f"Missing: {sorted(saved_keys - given_keys)}; new: {sorted(given_keys - saved_keys)}."
        )
