"""localtune: hyperparameter sweeps on one machine, with Ray Tune's API.

    import localtune as tune

Importing this package imports nothing else: each name is looked up when it is first used.
"""

from __future__ import annotations

import sys as _sys

from localtune._version import __version__

# Type checkers assume that it is true. The module `typing` would be most of the import time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from localtune.analysis.experiment_analysis import ExperimentAnalysis as ExperimentAnalysis
    from localtune.analysis.result import Result as Result
    from localtune.analysis.result_grid import ResultGrid as ResultGrid
    from localtune.callback import Callback as Callback
    from localtune.checkpoint import Checkpoint as Checkpoint
    from localtune.config.checkpoint import CheckpointConfig as CheckpointConfig
    from localtune.config.failure import FailureConfig as FailureConfig
    from localtune.config.resume import ResumeConfig as ResumeConfig
    from localtune.config.run import RunConfig as RunConfig
    from localtune.config.sync import SyncConfig as SyncConfig
    from localtune.config.tune import TuneConfig as TuneConfig
    from localtune.error import TuneError as TuneError
    from localtune.execution.cluster.dask.executor import DaskExecutor as DaskExecutor
    from localtune.execution.cluster.ray.executor import RayExecutor as RayExecutor
    from localtune.execution.in_process import InProcessExecutor as InProcessExecutor
    from localtune.execution.local_process import ProcessExecutor as ProcessExecutor
    from localtune.execution.process.warm import shutdown as shutdown
    from localtune.execution.simulated import SimulatedExecutor as SimulatedExecutor
    from localtune.progress_reporter import CLIReporter as CLIReporter
    from localtune.progress_reporter import JupyterNotebookReporter as JupyterNotebookReporter
    from localtune.progress_reporter import ProgressReporter as ProgressReporter
    from localtune.registry import register_env as register_env
    from localtune.registry import register_trainable as register_trainable
    from localtune.resources import PlacementGroupFactory as PlacementGroupFactory
    from localtune.running.experiment import Experiment as Experiment
    from localtune.schedulers import create_scheduler as create_scheduler
    from localtune.search import create_searcher as create_searcher
    from localtune.search.sample import choice as choice
    from localtune.search.sample import grid_search as grid_search
    from localtune.search.sample import lograndint as lograndint
    from localtune.search.sample import loguniform as loguniform
    from localtune.search.sample import qlograndint as qlograndint
    from localtune.search.sample import qloguniform as qloguniform
    from localtune.search.sample import qrandint as qrandint
    from localtune.search.sample import qrandn as qrandn
    from localtune.search.sample import quniform as quniform
    from localtune.search.sample import randint as randint
    from localtune.search.sample import randn as randn
    from localtune.search.sample import sample_from as sample_from
    from localtune.search.sample import uniform as uniform
    from localtune.stopper import Stopper as Stopper
    from localtune.trainable.command.command import Command as Command
    from localtune.trainable.session import TuneContext as TuneContext
    from localtune.trainable.session import get_checkpoint as get_checkpoint
    from localtune.trainable.session import get_context as get_context
    from localtune.trainable.session import report as report
    from localtune.trainable.trainable import Trainable as Trainable
    from localtune.trainable.util import with_parameters as with_parameters
    from localtune.trainable.util import with_resources as with_resources
    from localtune.tune import run as run
    from localtune.tune import run_experiments as run_experiments
    from localtune.tuner import Tuner as Tuner

_NAMES = {
    "analysis.experiment_analysis": ("ExperimentAnalysis",),
    "callback": ("Callback",),
    "checkpoint": ("Checkpoint",),
    "error": ("TuneError",),
    "execution.cluster.dask.executor": ("DaskExecutor",),
    "execution.cluster.ray.executor": ("RayExecutor",),
    "execution.in_process": ("InProcessExecutor",),
    "execution.local_process": ("ProcessExecutor",),
    "execution.process.warm": ("shutdown",),
    "execution.simulated": ("SimulatedExecutor",),
    "running.experiment": ("Experiment",),
    "progress_reporter": ("CLIReporter", "JupyterNotebookReporter", "ProgressReporter"),
    "registry": ("register_env", "register_trainable"),
    "resources": ("PlacementGroupFactory",),
    "analysis.result_grid": ("ResultGrid",),
    "config.checkpoint": ("CheckpointConfig",),
    "config.failure": ("FailureConfig",),
    "config.resume": ("ResumeConfig",),
    "config.run": ("RunConfig",),
    "config.sync": ("SyncConfig",),
    "schedulers": ("create_scheduler",),
    "search": ("create_searcher",),
    "search.sample": (
        "choice",
        "grid_search",
        "lograndint",
        "loguniform",
        "qlograndint",
        "qloguniform",
        "qrandint",
        "qrandn",
        "quniform",
        "randint",
        "randn",
        "sample_from",
        "uniform",
    ),
    "stopper": ("Stopper",),
    "trainable.command.command": ("Command",),
    "trainable.session": ("TuneContext", "get_checkpoint", "get_context", "report"),
    "trainable.trainable": ("Trainable",),
    "trainable.util": ("with_parameters", "with_resources"),
    "analysis.result": ("Result",),
    "tune": ("run", "run_experiments"),
    "config.tune": ("TuneConfig",),
    "tuner": ("Tuner",),
}
# Modules that scripts use as attributes: `tune.schedulers.FIFOScheduler`.
_SUBPACKAGES = frozenset(
    {
        "analysis",
        "callback",
        "checkpoint",
        "context",
        "error",
        "execution",
        "experiment",
        "integration",
        "logger",
        "progress_reporter",
        "registry",
        "resources",
        "result",
        "result_grid",
        "schedulers",
        "search",
        "stopper",
        "syncer",
        "trainable",
        "tune",
        "tune_config",
        "tuner",
        "utils",
    }
)
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None and name not in _SUBPACKAGES:
        from localtune.old_names.imports import old_name

        return old_name("tune", name, __name__)
    from importlib import import_module

    full_name = f"{__name__}.{module or name}"
    if full_name in _sys.modules:
        # As in a forked worker. Or another thread imports it just now, and this one waits.
        found = import_module(full_name)
    else:
        from localtune._lazy import importing

        with importing():
            found = import_module(full_name)
    if module is None:
        return found
    value = getattr(found, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _OldImports:
    """Is asked for modules below localtune that no other finder has, and finds none.

    It says what to write if scripts for earlier releases of Ray Tune import the module.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("localtune."):
            from localtune.old_names.imports import refuse_old_import

            refuse_old_import(name)


# A reload of this module replaces the finder.
_sys.meta_path[:] = [
    each
    for each in _sys.meta_path
    if (getattr(each, "__module__", ""), getattr(each, "__name__", "")) != (__name__, "_OldImports")
]
_sys.meta_path.append(_OldImports)
