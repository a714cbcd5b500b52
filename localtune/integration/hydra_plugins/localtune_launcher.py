"""The plugin that Hydra finds: ``hydra/launcher=localtune``.

Installed as ``hydra_plugins.localtune_launcher``. Every Hydra program imports this module, also
those that never use it, so it imports nothing that Hydra has not imported.
"""

# No `from __future__ import annotations`: Hydra 1.3 runs this module before it is in sys.modules,
# where dataclasses look up annotations that are texts.
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


@dataclass
class LocaltuneLauncherConf:
    """The settings below ``hydra.launcher``, with their defaults.

    Attributes:
        n_jobs: Most jobs that run at once; -1 is what the resources allow.
        cpus_per_job: CPUs that each job requests.
        gpus_per_job: GPUs that each job requests; a fraction below 1, or a whole number.
        memory_bytes_per_job: Memory that each job may hold, in bytes; None is without a limit.
        max_failures: How many times a job that fails is started again.
        num_cpus: CPUs that the jobs share; None is what this process may use.
        num_gpus: GPUs that the jobs share; None is what ``CUDA_VISIBLE_DEVICES`` or the driver
            shows.
        stop_timeout_s: Most seconds in which a job may end by itself after Ctrl-C; then its process
            gets SIGTERM.
        start_method: How job processes start; None is the best way that works here.
        storage_path: Directory for the experiment, which has the results of the jobs. None is the
            directory of the sweep.
        name: Name of the experiment's directory. None is ``localtune`` in the directory of the
            sweep, else one that is made of the job's name and the time.
        verbose: How much localtune itself prints: 0 nothing, 1 the status, 2 also each result.
    """

    _target_: str = "hydra_plugins.localtune_launcher.LocaltuneLauncher"
    n_jobs: int = -1
    cpus_per_job: float = 1.0
    gpus_per_job: float = 0.0
    # OmegaConf reads these types, and its oldest releases know no other form of them.
    memory_bytes_per_job: Optional[float] = None  # noqa: UP045
    max_failures: int = 0
    num_cpus: Optional[float] = None  # noqa: UP045
    num_gpus: Optional[float] = None  # noqa: UP045
    stop_timeout_s: float = 10.0
    start_method: Optional[str] = None  # noqa: UP045
    storage_path: Optional[str] = None  # noqa: UP045
    name: Optional[str] = None  # noqa: UP045
    verbose: int = 0


class LocaltuneLauncher(Launcher):
    """Runs the jobs of a sweep as trials of localtune.

    Args:
        **settings: The fields of :class:`LocaltuneLauncherConf`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self._settings = settings
        self._sweep: Any = None

    def setup(
        self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig"
    ) -> None:
        from localtune.integration.hydra.sweep import Sweep

        self._sweep = Sweep(self._settings, hydra_context, task_function, config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> "Sequence[JobReturn]":
        returns: list[JobReturn] = self._sweep.launch(job_overrides, initial_job_idx)
        return returns


ConfigStore.instance().store(
    group="hydra/launcher",
    name="localtune",
    node=LocaltuneLauncherConf,
    provider="localtune_launcher",
)
