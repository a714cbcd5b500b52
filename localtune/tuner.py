"""Tuner: the main entry point."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune._lazy import importing
from localtune.config.checks import config_of
from localtune.config.resume import ResumeConfig
from localtune.config.run import RunConfig, copy_of
from localtune.config.tune import TuneConfig
from localtune.error import TuneError
from localtune.result import TUNER_FILE
from localtune.utils.messages import get_logger

# The rest is imported when it is used: a program may name a Tuner and not use it, and the parts
# that run an experiment are not those that restore one.
if TYPE_CHECKING:
    from localtune.analysis.experiment_analysis import ExperimentAnalysis
    from localtune.analysis.result_grid import ResultGrid
    from localtune.config.spec import RunSpec
    from localtune.execution.executor import Executor
    from localtune.running.directory import ExperimentDirectory

logger = get_logger(__name__)


class Tuner:
    """Searches for the best configuration of a trainable.

    Args:
        trainable: A function of one argument (the config), a subclass of
            :class:`~localtune.Trainable`, or a registered name.
        param_space: Search space: a dict of constants, domains (``tune.uniform(...)``), grids
            (``tune.grid_search([...])``) and dicts of these.
        tune_config: What to optimise, with how many trials.
        run_config: Where to keep the run, when to stop it.
        executor: Where trials run: None runs each in a process of its own, ``"inprocess"`` runs
            them in this process (for debuggers), ``"ray"`` and ``"dask"`` on the nodes of a
            cluster. Or an instance such as ``ProcessExecutor(num_cpus=4)``.

    Raises:
        TuneError: without a trainable, or for an object that is no trainable.
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
        _taken_up: _TakenUp | None = None,
        _files: Mapping[str, bytes] | None = None,
    ) -> None:
        if trainable is None:
            raise TuneError("A Tuner needs a trainable: a function, a Trainable class, or a name.")
        with importing():
            from localtune.registry import get_trainable_cls
            from localtune.running.build import check_executor
            from localtune.running.directory import directory_of
            from localtune.running.specify import saves_at_end, specify
            from localtune.running.taken import check_taken_early
            from localtune.trainable.parameters import check_with_parameters

        if _taken_up is None:
            given = copy_of(config_of(RunConfig, "run_config", run_config))
            spec = specify(trainable, param_space, tune_config, given)
            # Errors that can be found now are raised now. Nothing is written before fit().
            check_with_parameters(get_trainable_cls(spec.trainable_name))
            directory = directory_of(spec.run_config)
            directory.files |= {**(_files or {}), TUNER_FILE: spec.save()}
            directory.check()
            check_taken_early(spec, directory)
            _taken_up = _TakenUp(saves_at_end(spec), directory)
        check_executor(executor)
        self._spec = _taken_up.spec
        self._directory = _taken_up.directory
        self._analysis = _taken_up.analysis
        self._executor = executor
        self._is_used = False
        self._was_interrupted = False

    # -- running --------------------------------------------------------------------------------

    def fit(self) -> ResultGrid:
        """Runs the search.

        Called again, it runs the search once more, in the same directory.

        Returns:
            The results of all trials, failed ones included.

        Raises:
            TuneError: if the run itself failed, or a trial failed with ``fail_fast="raise"``.
            ValueError: for a search space or a setting that cannot be used.
        """
        with importing():
            from localtune.analysis.experiment_analysis import ExperimentAnalysis
            from localtune.analysis.result_grid import ResultGrid
            from localtune.running.runner import run_experiment
        if self._is_used:
            self._spec = _with_new_deciders(self._spec, self._directory.files[TUNER_FILE])
        self._is_used = True
        directory = self._directory
        resume = directory.resume
        if self._spec.run_config.if_exists == "resume" and not directory.is_own:
            directory.resume = ResumeConfig()
        try:
            outcome = run_experiment(self._spec, directory, self._executor)
        finally:
            directory.resume = resume
        directory.resume = directory.run = None
        self._was_interrupted = outcome.was_interrupted
        self._analysis = ExperimentAnalysis(
            directory.path,
            trials=outcome.trials,
            default_metric=self._spec.tune_config.metric,
            default_mode=self._spec.tune_config.mode,
        )
        return ResultGrid(self._analysis)

    def get_results(self) -> ResultGrid:
        """Returns the results of the last :meth:`fit`, else those that :meth:`restore` found.

        Raises:
            RuntimeError: if there are no results yet.
        """
        from localtune.analysis.result_grid import ResultGrid

        if self._analysis is None:
            raise RuntimeError("There are no results yet: call fit() first.")
        return ResultGrid(self._analysis)

    @property
    def path(self) -> str:
        """Directory of the experiment on this machine."""
        return self._directory.path

    @property
    def was_interrupted(self) -> bool:
        """Whether the user ended the last :meth:`fit` early, by Ctrl-C for instance."""
        return self._was_interrupted

    # -- going on with an earlier run -----------------------------------------------------------

    @classmethod
    def can_restore(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> bool:
        """Returns whether a directory holds an experiment that :meth:`restore` can take up.

        A Tuner writes nothing before :meth:`fit`.

        Args:
            path: Directory of the experiment, or its URI.
            storage_filesystem: See :class:`~localtune.RunConfig`.

        Raises:
            StorageError: if the remote storage cannot be reached.
        """
        from localtune.storage.remote import has_experiment, needs_store
        from localtune.utils.remote_store import local_path, open_store

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
            path: Directory of the experiment, or its URI. The directory may have been moved.
            trainable: The trainable of the experiment, as it was given to the Tuner.
            resume_unfinished: Whether trials that did not end go on from their checkpoints.
            resume_errored: Whether failed trials go on from their checkpoints.
            restart_errored: Whether failed trials start anew.
            param_space: The search space again, with the same keys; needed if it holds objects
                that cannot be saved.
            storage_filesystem: See :class:`~localtune.RunConfig`.
            executor: See :class:`Tuner`.
            trust: Whether to read an experiment that another user could have written.
            run: Number of the run to take up, from 1; None is the latest.

        Returns:
            A Tuner; call :meth:`fit` to go on.

        Raises:
            FileNotFoundError: if there is no experiment at ``path``.
            ValueError: if trainable or search space are not those of the experiment, or if there
                is no such run.
        """
        with importing():
            from localtune.analysis.experiment_analysis import ExperimentAnalysis
            from localtune.config.spec import is_saved_space
            from localtune.running.directory import directory_of
            from localtune.running.saved_spec import load_saved, read_saved
            from localtune.running.specify import as_param_space, check_spec, saves_at_end
            from localtune.storage.reader import has_database
            from localtune.storage.remote import attach_path, needs_store, split_path
            from localtune.utils.remote_store import local_path

        if needs_store(path, storage_filesystem):
            directory = attach_path(path, storage_filesystem)
            place = split_path(path)
        else:
            directory = os.path.abspath(local_path(path))
            place = os.path.split(directory)
        content = read_saved(directory, run, trust=trust)
        spec = load_saved(directory, content)
        _check_same_trainable(spec, trainable)
        if param_space is not None:
            given = as_param_space(param_space)
            _check_same_keys(given, spec.param_space)
            spec = dataclasses.replace(spec, param_space=given)
            if not is_saved_space(content, given):
                content = spec.save()
                logger.warning(
                    "param_space is not what it was: trials that go on take its constants and "
                    "objects and keep what was drawn for them; new ones are drawn from it."
                )
        spec = dataclasses.replace(
            spec,
            run_config=dataclasses.replace(
                spec.run_config,
                storage_path=place[0],
                name=place[1],
                storage_filesystem=storage_filesystem,
            ),
        )
        spec = saves_at_end(spec)
        check_spec(spec)
        found = directory_of(spec.run_config)
        found.files[TUNER_FILE] = content
        found.resume = _resume_config or _resume_of(
            resume_unfinished, resume_errored, restart_errored
        )
        found.run, found.trust, found.is_own = run, trust, True
        analysis = ExperimentAnalysis(
            directory,
            # A run that was killed before its first trial has recorded none.
            trials=None if has_database(directory) else [],
            run=run,
            trust=trust,
            default_metric=spec.tune_config.metric,
            default_mode=spec.tune_config.mode,
        )
        return cls(trainable, executor=executor, _taken_up=_TakenUp(spec, found, analysis))

    def __getattribute__(self, name: str) -> Any:
        if name == "restore":
            raise AttributeError("restore is a class method: call Tuner.restore(path, trainable).")
        return super().__getattribute__(name)


@dataclass
class _TakenUp:
    """A prepared run of a Tuner.

    Attributes:
        spec: The specification of the run.
        directory: The directory of the experiment, and how the run uses earlier results.
        analysis: The earlier results; None without any.
    """

    spec: RunSpec
    directory: ExperimentDirectory
    analysis: ExperimentAnalysis | None = None


def _with_new_deciders(spec: RunSpec, content: bytes) -> RunSpec:
    """Returns a specification whose deciders have no state of a run.

    Args:
        spec: The specification of the last run; its searcher, scheduler and stop conditions hold
            the state of that run.
        content: The specification as it was saved before that run.
    """
    from localtune.config.spec import RunSpec

    # The search space, which may be large, is not loaded again.
    before: TuneConfig = RunSpec.load_field(content, "tune_config")
    stop = RunSpec.load_field(content, "run_config").stop
    tune_config = dataclasses.replace(
        spec.tune_config, search_alg=before.search_alg, scheduler=before.scheduler
    )
    run_config = dataclasses.replace(spec.run_config, stop=stop)
    return dataclasses.replace(spec, tune_config=tune_config, run_config=run_config)


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


def _check_same_trainable(spec: RunSpec, trainable: Any) -> None:
    from localtune.running.specify import register
    from localtune.running.taken import warn_of_new_code
    from localtune.utils.source import source_digest

    name, source = register(trainable), source_digest(trainable)
    if name != spec.trainable_name:
        raise ValueError(
            f"The experiment ran the trainable {spec.trainable_name!r}, but got {name!r}. Pass the "
            "one that it was started with."
        )
    warn_of_new_code(name, spec.source, source)


def _check_same_keys(given: dict[str, Any], saved: dict[str, Any]) -> None:
    from localtune.running.taken import keys_of

    given_keys, saved_keys = set(keys_of(given)), set(keys_of(saved))
    if given_keys != saved_keys:
        raise ValueError(
            "param_space must have the keys that the experiment was started with. "
            f"Missing: {sorted(saved_keys - given_keys)}; new: {sorted(given_keys - saved_keys)}."
        )
