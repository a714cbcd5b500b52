"""JobProgram: the trainable of a sweep, which runs one job of Hydra in a worker.

::

    parent                                   worker
      | JobProgram, once per batch  ------>    | state of Hydra, resolvers, names of __main__
      | trial id                    ------>    | the job's overrides -> compose -> task function
      |                                        |   .hydra/, log: the job's own output directory
      | <---- job_return.pkl in the trial's directory (JobReturn)
      | <---- metrics: the returned numbers
      | <---- the exception, if the task function raised one
"""

from __future__ import annotations

import contextlib
import importlib
import numbers
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from localtune.integration.hydra.job_list import Job
from localtune.result import NOT_METRICS
from localtune.trainable.session import get_context, report
from localtune.utils.files import write_file
from localtune.utils.serialization import MAIN_NAMES, dumps_by_value
from localtune.utils.trust import load_own

RETURN_FILE = "job_return.pkl"
# Metric of a job that returns a number.
RETURN_METRIC = "return_value"


class JobProgram:
    """The trainable of a sweep: runs the job of the current trial.

    Args:
        task_function: The user's function.
        hydra_context: Composes the configuration of a job; has the callbacks.
        config: The configuration of the sweep.
        jobs: The jobs of the batch.
    """

    def __init__(
        self,
        task_function: TaskFunction,
        hydra_context: HydraContext,
        config: DictConfig,
        jobs: Sequence[Job],
    ) -> None:
        self.__name__ = str(config.hydra.job.name)
        self._task_function = by_reference(task_function)
        self._hydra_context = hydra_context
        self._config = config
        self._jobs = {job.trial_id: job for job in jobs}
        self._hydra_state = Singleton.get_state()
        self._names_of_main = names_of_main()
        self._directory = os.getcwd()

    def __call__(self, config: dict[str, Any]) -> None:
        """Runs a job; the trial fails if it does.

        Args:
            config: The parameters of the trial, which only show what the job's overrides are.
        """
        context = get_context()
        trial_id, trial_dir = context.get_trial_id(), context.get_trial_dir()
        assert trial_id is not None and trial_dir is not None
        path = os.path.join(trial_dir, RETURN_FILE)
        # An earlier attempt may have left one.
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        done = self._run(self._jobs[trial_id])
        if done.status is JobStatus.FAILED:
            # The trial hands it to the parent, with its traceback.
            error, done._return_value = done._return_value, None
            with contextlib.suppress(TypeError):  # The error counts, not the configuration.
                keep(done, path)
            raise error
        keep(done, path)
        metrics = metrics_of(done.return_value)
        if metrics:
            report(metrics)

    def _run(self, job: Job) -> JobReturn:
        """Runs a job in Hydra's way."""
        # Hydra's relative paths, such as that of the output directory, start there.
        os.chdir(self._directory)
        vars(sys.modules["__main__"]).update(self._names_of_main)
        setup_globals()
        Singleton.set_state(self._hydra_state)
        loader = self._hydra_context.config_loader
        config = loader.load_sweep_config(self._config, list(job.overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{job.number}"
            config.hydra.job.num = job.number
        return run_job(
            task_function=self._task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self._hydra_context,
        )


def keep(done: JobReturn, path: str) -> None:
    """Writes what a job returns to a file for the parent.

    Args:
        done: What the job returns.
        path: The file.

    Raises:
        TypeError: if it cannot be pickled.
    """
    try:
        data = dumps_by_value(done)
    except Exception as error:
        raise TypeError(
            f"The task function returned a {type(done._return_value).__qualname__} that cannot be "
            f"sent to the launcher: {error}. Return numbers, texts, or lists and dicts of these."
        ) from error
    write_file(path, data, sync=False)


def read_return(trial_dir: str) -> JobReturn | None:
    """Returns what a job has returned; None if it ended before that.

    Args:
        trial_dir: Directory of its trial.

    Raises:
        Exception: any error of loading what the task function has returned.
    """
    path = os.path.join(trial_dir, RETURN_FILE)
    if not os.path.exists(path):
        return None
    done: JobReturn = load_own(path)
    return done


def metrics_of(value: Any) -> dict[str, Any]:
    """Returns the metrics to report for what a task function has returned.

    Args:
        value: A number, a list of numbers, or a dict with numbers in it; there are no metrics for
            any other value.
    """
    if isinstance(value, Mapping):
        return {
            name: number
            for name, number in value.items()
            if isinstance(name, str) and name not in NOT_METRICS and _is_number(number)
        }
    if _is_number(value):
        return {RETURN_METRIC: value}
    if isinstance(value, Sequence) and value and all(map(_is_number, value)):
        return {RETURN_METRIC: list(value)}
    return {}


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real)


def by_reference(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a form of a decorated function that pickles as a reference to its module.

    ``@hydra.main`` puts another function under the name of the user's. The user's would therefore
    be pickled by value, together with the module's variables, which may be locks or large.

    Args:
        function: The user's function. One of ``__main__`` is returned as it is: workers do not
            import that.
    """
    # An object that can be called may have no names.
    module, qualname = (getattr(function, each, "") for each in ("__module__", "__qualname__"))
    if module in MAIN_NAMES:
        return function
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return _Decorated(function) if getattr(found, "__wrapped__", None) is function else function


class _Decorated:
    """Stands for a function that a decorator has replaced in its module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return _undecorated, (self._function.__module__, self._function.__qualname__)


def _undecorated(module: str, qualname: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found.__wrapped__


def names_of_main() -> dict[str, Any]:
    """Returns the functions and classes of the user's script that can be sent to a worker."""
    found = {}
    for name, value in vars(sys.modules["__main__"]).items():
        if not isinstance(value, (type, types.FunctionType)) or value.__module__ not in MAIN_NAMES:
            continue
        try:
            dumps_by_value(value)
        except Exception:
            continue  # A job that needs it fails with an error of its own.
        found[name] = value
    return found
