"""Sweep: launches the jobs of one Hydra sweep as trials of one experiment.

::

    sweeper --launch(overrides of a batch)--> Sweep --Tuner.fit--> one trial per job
      ^                                         |                    | job.py, in a worker
      +------------- JobReturns, in order ------+ <---- job_return.pkl, errors
    A sweeper that learns calls launch() repeatedly; the same run of the experiment goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from localtune.config.checks import is_count
from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.tune import TuneConfig
from localtune.error import TrialError
from localtune.execution.local_process import ProcessExecutor
from localtune.integration.hydra.job import JobProgram, read_return
from localtune.integration.hydra.job_list import Job, JobList, jobs_of
from localtune.trainable.util import with_resources
from localtune.tuner import Tuner
from localtune.utils.messages import get_logger
from localtune.utils.remote_store import is_uri, local_path
from localtune.utils.text import count

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)

_OLDEST_HYDRA = (1, 3)
_DEFAULT_NAME = "localtune"


class Sweep:
    """Launches the batches of one sweep.

    Args:
        settings: The fields below ``hydra.launcher``.
        hydra_context: See :class:`JobProgram`.
        task_function: The user's function.
        config: The configuration of the sweep.

    Raises:
        ValueError: for a setting that makes no sense.
        ImportError: if this Hydra is too old.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        _check_version(hydra.__version__)
        check_settings(settings)
        self._settings = dict(settings)
        self._hydra_context = hydra_context
        self._task_function = task_function
        self._config = config
        # Name of the experiment, once it has begun.
        self._name: str | None = None

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Runs a batch of jobs.

        Args:
            job_overrides: The overrides of each job.
            initial_job_idx: Number of the first job.

        Returns:
            What each job has returned, in the order of the jobs. A job that failed is among them.

        Raises:
            KeyboardInterrupt: if the user has ended the run.
            ResourceRequestError: if this machine can never run a job.
            TypeError: if the task function cannot be sent to another process.
        """
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        # Relative to the working directory, and the same for all batches.
        Path(str(self._config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs = jobs_of(job_overrides, initial_job_idx)
        tuner = self._tuner(jobs)
        _log_jobs(jobs, tuner.path)
        self._name = os.path.basename(tuner.path)
        trials = {each.trial_id: each for each in tuner.fit()._experiment_analysis.trials}
        if tuner.was_interrupted:
            raise KeyboardInterrupt
        return [_return_of(job, trials.get(job.trial_id)) for job in jobs]

    def _tuner(self, jobs: Sequence[Job]) -> Tuner:
        settings = self._settings
        program = JobProgram(self._task_function, self._hydra_context, self._config, jobs)
        return Tuner(
            with_resources(program, resources_of(settings)),
            tune_config=TuneConfig(
                search_alg=JobList(jobs), max_concurrent_trials=max(settings["n_jobs"], 0)
            ),
            run_config=RunConfig(
                **self._place(),
                failure_config=FailureConfig(max_failures=settings["max_failures"]),
                verbose=settings["verbose"],
            ),
            executor=ProcessExecutor(
                num_cpus=settings["num_cpus"],
                num_gpus=settings["num_gpus"],
                start_method=settings["start_method"],
                stop_timeout_s=settings["stop_timeout_s"],
            ),
        )

    def _place(self) -> dict[str, Any]:
        """Returns where the experiment is, as arguments of :class:`RunConfig`."""
        if self._name is not None:
            # A later batch: the run goes on with the jobs of this one.
            return {"storage_path": self._storage_path(), "name": self._name, "if_exists": "resume"}
        name = self._settings["name"]
        if name is None and self._settings["storage_path"] is None:
            name = _free_name(self._storage_path())
        return {"storage_path": self._storage_path(), "name": name}

    def _storage_path(self) -> str:
        given = str(self._settings["storage_path"] or self._config.hydra.sweep.dir)
        return given if is_uri(given) else os.path.abspath(local_path(given))


def check_settings(settings: Mapping[str, Any]) -> None:
    """Checks what the parts of localtune do not check themselves.

    Args:
        settings: The fields below ``hydra.launcher``.

    Raises:
        ValueError: for a setting that makes no sense.
    """
    n_jobs = settings["n_jobs"]
    if n_jobs != -1 and not is_count(n_jobs, 1):
        raise ValueError(
            "hydra.launcher.n_jobs must be at least 1, or -1 for as many jobs as the resources "
            f"allow, but is {n_jobs!r}."
        )


def resources_of(settings: Mapping[str, Any]) -> dict[str, float]:
    """Returns the resource request of each job.

    Args:
        settings: The fields below ``hydra.launcher``.
    """
    request = {"cpu": settings["cpus_per_job"], "gpu": settings["gpus_per_job"]}
    if settings["memory_bytes_per_job"] is not None:
        request["memory"] = settings["memory_bytes_per_job"]
    return request


def _check_version(version: str) -> None:
    if tuple(map(int, version.split(".")[:2])) < _OLDEST_HYDRA:
        raise ImportError(
            f"hydra/launcher=localtune needs hydra-core 1.3 or newer, but this is {version}. "
            'Install one with: pip install "localtune-runner[hydra]"'
        )


def _free_name(storage_path: str) -> str:
    """Returns a name that no earlier sweep in the same directory has taken."""
    name, number = _DEFAULT_NAME, 1
    while os.path.exists(os.path.join(storage_path, name)):
        number += 1
        name = f"{_DEFAULT_NAME}_{number}"
    return name


def _log_jobs(jobs: Sequence[Job], path: str) -> None:
    logger.info("Launching %s with localtune: results in %s", count(len(jobs), "job"), path)
    for job in jobs:
        logger.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))


def _return_of(job: Job, trial: Trial | None) -> JobReturn:
    """Returns what a job has returned, or that it failed.

    Args:
        job: The job.
        trial: Its trial; None if the run has ended before there was one.
    """
    done, error = None, trial.get_error() if trial is not None else None
    try:
        done = read_return(trial.path) if trial is not None else None
    except Exception as reason:
        error = error or reason
    if done is not None and error is None:
        return done
    if error is None:
        error = TrialError(f"Job #{job.number} was stopped before it had ended.")
    if done is None:
        done = JobReturn(overrides=list(job.overrides))
    done.status = JobStatus.FAILED
    done.return_value = error
    return done
