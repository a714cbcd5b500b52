"""The functional entry points: run and run_experiments."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.analysis.experiment_analysis import ExperimentAnalysis
from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.config.resume import ResumeConfig
from localtune.config.run import RunConfig, check_if_exists
from localtune.config.spec import RunSpec
from localtune.config.sync import SyncConfig
from localtune.config.tune import TuneConfig
from localtune.error import TuneError
from localtune.old_names.arguments import OLD_RESUME, OLD_RESUME_FORM, old_arguments
from localtune.old_names.use import translated
from localtune.running.build import check_executor
from localtune.running.directory import directory_of
from localtune.running.experiment import Experiment, spec_with
from localtune.running.runner import run_experiment
from localtune.running.specify import specify
from localtune.running.taken import check_taken_early
from localtune.trial.status import Status
from localtune.utils.messages import warn
from localtune.utils.serialization import dumps

if TYPE_CHECKING:
    from localtune.callback import Callback
    from localtune.execution.executor import Executor
    from localtune.resources import PlacementGroupFactory
    from localtune.schedulers import TrialScheduler
    from localtune.trial.trial import Trial

_DEFAULT_VERBOSE = 2


@old_arguments("tune.run")
def run(
    run_or_experiment: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: Any = None,
    time_budget_s: float | datetime.timedelta | None = None,
    config: Mapping[str, Any] | None = None,
    resources_per_trial: Mapping[str, Any] | PlacementGroupFactory | None = None,
    num_samples: int = 1,
    storage_path: str | os.PathLike[str] | None = None,
    storage_filesystem: Any = None,
    search_alg: Any = None,
    scheduler: TrialScheduler | str | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    verbose: int | None = None,
    progress_reporter: Any = None,
    log_to_file: bool | str | tuple[str | None, str | None] = False,
    trial_name_creator: Callable[[Trial], str] | None = None,
    trial_dirname_creator: Callable[[Trial], str] | None = None,
    sync_config: SyncConfig | None = None,
    export_formats: str | list[str] | None = None,
    max_failures: int = 0,
    fail_fast: bool | str = False,
    restore: str | os.PathLike[str] | None = None,
    resume: bool | str | None = None,
    resume_config: ResumeConfig | None = None,
    if_exists: str | None = None,
    reuse_actors: bool = False,
    raise_on_failed_trial: bool = True,
    callbacks: Sequence[Callback] | None = None,
    max_concurrent_trials: int | None = None,
    executor: Executor | str | None = None,
    seed: int | None = None,
    keep_checkpoints_num: int | None = None,
    checkpoint_score_attr: str | None = None,
    checkpoint_freq: int = 0,
    checkpoint_at_end: bool = False,
) -> ExperimentAnalysis:
    """Runs an experiment; :class:`~localtune.Tuner` is the same with named configs.

    Args:
        run_or_experiment: A function, a Trainable class, a registered name, an
            :class:`~localtune.Experiment`, or a list of these (run one after the other).
        name: See :class:`~localtune.RunConfig`.
        metric: See :class:`~localtune.TuneConfig`.
        mode: See :class:`~localtune.TuneConfig`.
        stop: See :class:`~localtune.RunConfig`.
        time_budget_s: See :class:`~localtune.TuneConfig`.
        config: Search space.
        resources_per_trial: Resources of each trial, as ``{"cpu": 2, "gpu": 0.5}``.
        num_samples: See :class:`~localtune.TuneConfig`.
        storage_path: See :class:`~localtune.RunConfig`.
        storage_filesystem: See :class:`~localtune.RunConfig`.
        search_alg: See :class:`~localtune.TuneConfig`.
        scheduler: See :class:`~localtune.TuneConfig`.
        checkpoint_config: See :class:`~localtune.CheckpointConfig`.
        verbose: See :class:`~localtune.RunConfig`; the default is 2.
        progress_reporter: See :class:`~localtune.RunConfig`.
        log_to_file: See :class:`~localtune.RunConfig`.
        trial_name_creator: See :class:`~localtune.TuneConfig`.
        trial_dirname_creator: See :class:`~localtune.TuneConfig`.
        sync_config: See :class:`~localtune.SyncConfig`.
        export_formats: Formats that the trainable exports at the end of a trial.
        max_failures: See :class:`~localtune.FailureConfig`.
        fail_fast: See :class:`~localtune.FailureConfig`.
        restore: Checkpoint directory that each trial starts from.
        resume: True or ``"AUTO"`` goes on with the experiment ``name``; suffixes ``+ERRORED``,
            ``+RESTART_ERRORED``, ``+ERRORED_ONLY``, ``+RESTART_ERRORED_ONLY`` say whether failed
            trials go on or start anew.
        resume_config: The same in detail.
        if_exists: See :class:`~localtune.RunConfig`; the default is ``"add"``, with ``resume`` it
            is ``"resume"``.
        reuse_actors: See :class:`~localtune.TuneConfig`.
        raise_on_failed_trial: Whether to raise if a trial did not end well.
        callbacks: See :class:`~localtune.RunConfig`.
        max_concurrent_trials: See :class:`~localtune.TuneConfig`.
        executor: See :class:`~localtune.Tuner`.
        seed: See :class:`~localtune.TuneConfig`.
        keep_checkpoints_num: Deprecated, use ``checkpoint_config``.
        checkpoint_score_attr: Deprecated, use ``checkpoint_config``.
        checkpoint_freq: Deprecated, use ``checkpoint_config``.
        checkpoint_at_end: Deprecated, use ``checkpoint_config``.

    Returns:
        The trials and their results.

    Raises:
        TuneError: if the run failed, or a trial failed and ``raise_on_failed_trial`` is set.
        ValueError: for a value that makes no sense.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ValueError(f"config must be a dict, but got {config!r}.")
    resume_config, if_exists = _taking(resume, resume_config, if_exists)
    tune_config = TuneConfig(
        metric=metric,
        mode=mode,
        search_alg=search_alg,
        scheduler=scheduler,
        num_samples=num_samples,
        max_concurrent_trials=max_concurrent_trials,
        time_budget_s=time_budget_s,
        reuse_actors=reuse_actors,
        trial_name_creator=trial_name_creator,
        trial_dirname_creator=trial_dirname_creator,
        seed=seed,
    )
    run_config = RunConfig(
        name=name,
        storage_path=storage_path,
        storage_filesystem=storage_filesystem,
        failure_config=FailureConfig(max_failures, fail_fast),
        checkpoint_config=_with_deprecated(
            checkpoint_config,
            keep_checkpoints_num,
            checkpoint_score_attr,
            checkpoint_freq,
            checkpoint_at_end,
        ),
        sync_config=sync_config,
        verbose=_DEFAULT_VERBOSE if verbose is None else verbose,
        stop=stop,
        callbacks=_as_list(callbacks),
        progress_reporter=progress_reporter,
        if_exists=if_exists,
        log_to_file=log_to_file,
    )

    def spec_of(each: Any) -> RunSpec:
        if isinstance(each, Experiment):
            return spec_with(each, tune_config, run_config)
        return specify(
            each,
            config,
            tune_config,
            run_config,
            resources_per_trial=resources_per_trial,
            export_formats=export_formats,
            restore=restore,
            # A caller who wants to look at failed trials finds the advice there.
            refuse=raise_on_failed_trial,
        )

    several = run_or_experiment if isinstance(run_or_experiment, list) else [run_or_experiment]
    if not several:
        raise ValueError("There is nothing to run: the list of experiments is empty.")
    specs = [spec_of(each) for each in several]
    trials = _run_all(specs, executor, resume_config, raise_on_failed_trial)
    return ExperimentAnalysis(
        directory_of(specs[0].run_config).path,
        trials=trials,
        default_metric=metric,
        default_mode=mode,
    )


@old_arguments("run_experiments")
def run_experiments(
    experiments: Experiment | Mapping[str, Any] | Sequence[Any],
    scheduler: TrialScheduler | None = None,
    verbose: int | None = None,
    progress_reporter: Any = None,
    resume: bool | str | None = None,
    resume_config: ResumeConfig | None = None,
    reuse_actors: bool = False,
    raise_on_failed_trial: bool = True,
    concurrent: bool = True,
    callbacks: Sequence[Callback] | None = None,
    executor: Executor | str | None = None,
    search_alg: Any = None,
) -> list[Trial]:
    """Runs several experiments, one after the other: each has the whole machine.

    Args:
        experiments: An experiment, a list of them, or ``{name: spec}``.
        scheduler: See :class:`~localtune.TuneConfig`.
        verbose: See :class:`~localtune.RunConfig`; the default is 2.
        progress_reporter: See :class:`~localtune.RunConfig`.
        resume: See :func:`run`.
        resume_config: See :func:`run`.
        reuse_actors: See :class:`~localtune.TuneConfig`.
        raise_on_failed_trial: Whether to raise if a trial did not end well.
        concurrent: Accepted for compatibility.
        callbacks: See :class:`~localtune.RunConfig`.
        executor: See :class:`~localtune.Tuner`.
        search_alg: See :class:`~localtune.TuneConfig`.

    Returns:
        All trials.

    Raises:
        TuneError: for an invalid spec, a failed run, or failed trials.
    """
    tune_config = TuneConfig(search_alg=search_alg, scheduler=scheduler, reuse_actors=reuse_actors)
    run_config = RunConfig(
        verbose=_DEFAULT_VERBOSE if verbose is None else verbose,
        callbacks=_as_list(callbacks),
        progress_reporter=progress_reporter,
    )
    resume_config = resume_config or parse_resume(resume)
    specs = [spec_with(each, tune_config, run_config) for each in _experiments_of(experiments)]
    return _run_all(specs, executor, resume_config, raise_on_failed_trial)


def _taking(
    resume: bool | str | None, resume_config: ResumeConfig | None, if_exists: str | None
) -> tuple[ResumeConfig | None, str]:
    """Returns the config for going on with an earlier run, or None, and ``if_exists``."""
    given = resume_config or parse_resume(resume)
    if if_exists is None:
        return given, "add"
    check_if_exists(if_exists)
    is_wanted = given is not None if resume is None else bool(resume)
    if is_wanted != (if_exists == "resume") and (given is not None or resume is not None):
        what = "resume_config" if resume is None else f"resume={resume!r}"
        raise ValueError(
            f"{what} and if_exists={if_exists!r} contradict each other: to go on is "
            'if_exists="resume". Give one of them.'
        )
    return (given or ResumeConfig() if if_exists == "resume" else None), if_exists


def _run_all(
    specs: list[RunSpec],
    executor: Executor | str | None,
    resume: ResumeConfig | None,
    raise_on_failed_trial: bool,
) -> list[Trial]:
    check_executor(executor)
    directories = []
    for spec in specs:
        # Checks all configs before the first run begins.
        dumps(spec.param_space, "config")
        directory = directory_of(spec.run_config)
        directory.resume = resume
        check_taken_early(spec, directory)
        directories.append(directory)
    trials: list[Trial] = []
    was_interrupted = False
    for spec, directory in zip(specs, directories, strict=True):
        outcome = run_experiment(spec, directory, executor)
        trials += outcome.trials
        was_interrupted = outcome.was_interrupted
        if was_interrupted:
            break
    failed = [trial for trial in trials if trial.status is not Status.TERMINATED]
    if failed and raise_on_failed_trial and not was_interrupted:
        error = TuneError("Trials did not complete", failed)
        error.__cause__ = failed[0].error
        raise error
    return trials


def _as_list(callbacks: Any) -> Any:
    """Returns a tuple of callbacks as a list. The specification checks other values."""
    return list(callbacks) if isinstance(callbacks, tuple) else callbacks


def _experiments_of(experiments: Any) -> list[Experiment]:
    if isinstance(experiments, Experiment):
        return [experiments]
    if isinstance(experiments, Mapping):
        return [_experiment_of(name, spec) for name, spec in experiments.items()]
    if isinstance(experiments, (list, tuple)):
        return [each for some in experiments for each in _experiments_of(some)]
    raise TuneError(
        "experiments must be an Experiment, a list of them, or a dict {name: spec}, but got "
        f"{experiments!r}."
    )


def _experiment_of(name: str, spec: Any) -> Experiment:
    if isinstance(spec, Experiment):
        return spec
    if not isinstance(spec, Mapping):
        raise TuneError(f"The experiment {name!r} must be a dict with a 'run' entry: {spec!r}.")
    return Experiment.from_json(name, spec)


_RESUME_KINDS = ResumeConfig.ResumeType
_RESUME_SUFFIXES: dict[str, dict[str, ResumeConfig.ResumeType]] = {
    "ERRORED": {"errored": _RESUME_KINDS.RESUME},
    "RESTART_ERRORED": {"errored": _RESUME_KINDS.RESTART},
    "ERRORED_ONLY": {"errored": _RESUME_KINDS.RESUME, "unfinished": _RESUME_KINDS.SKIP},
    "RESTART_ERRORED_ONLY": {"errored": _RESUME_KINDS.RESTART, "unfinished": _RESUME_KINDS.SKIP},
}


def parse_resume(resume: bool | str | None) -> ResumeConfig | None:
    """Returns the config for the ``resume`` argument of :func:`run`; None does not resume.

    Raises:
        ValueError: for an unknown value.
        OldNameError: for a value of earlier releases.
    """
    if not resume:
        return None
    if resume is True:
        return ResumeConfig()
    if not isinstance(resume, str):
        raise ValueError(f"resume must be a bool or a text, but got {resume!r}.")
    text = resume.upper()
    if text in OLD_RESUME:
        text = translated(OLD_RESUME_FORM, text)
    base, *suffixes = text.split("+")
    if base != "AUTO":
        raise ValueError(f"resume must be True, 'AUTO' or 'AUTO+...', but got {resume!r}.")
    config = ResumeConfig()
    for suffix in suffixes:
        if suffix not in _RESUME_SUFFIXES:
            raise ValueError(
                f"resume knows the suffixes {', '.join(sorted(_RESUME_SUFFIXES))}, "
                f"but got {suffix!r} in {resume!r}."
            )
        config = ResumeConfig(**_RESUME_SUFFIXES[suffix])
    return config


def _with_deprecated(
    config: CheckpointConfig | None,
    keep_checkpoints_num: int | None,
    checkpoint_score_attr: str | None,
    checkpoint_freq: int,
    checkpoint_at_end: bool,
) -> CheckpointConfig | None:
    given: dict[str, Any] = {}
    if keep_checkpoints_num is not None:
        given["num_to_keep"] = keep_checkpoints_num
    if checkpoint_score_attr is not None:
        is_min = checkpoint_score_attr.startswith("min-")
        given["checkpoint_score_attribute"] = checkpoint_score_attr.removeprefix("min-")
        given["checkpoint_score_order"] = "min" if is_min else "max"
    if checkpoint_freq:
        given["checkpoint_frequency"] = checkpoint_freq
    if checkpoint_at_end:
        given["checkpoint_at_end"] = True
    if not given:
        return config
    warn(
        "keep_checkpoints_num, checkpoint_score_attr, checkpoint_freq and checkpoint_at_end are "
        "deprecated: pass checkpoint_config=CheckpointConfig(...).",
        DeprecationWarning,
        stacklevel=3,
    )
    if config is not None:
        raise ValueError(
            f"Checkpoints are configured twice: by checkpoint_config and by {sorted(given)}."
        )
    return CheckpointConfig(**given)
