"""The "cluster" of ``ray.init``: this machine, or a part of it, until ``ray.shutdown``.

::

    process of the script              its workers, and the processes of remote functions
      Cluster.start                      Cluster.join(facts)
        |-- limits -> executors of runs    |
        |-- private directory of objects --+-- the same directory
        +-- facts ---- with trainables --->+

A run, ``ray.put`` or a remote function starts the cluster if the script has not called
``ray.init``.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localtune.compat.objects import ObjectStore, own_directories
from localtune.execution import machine
from localtune.trainable import preparation
from localtune.trainable.active_session import current_session
from localtune.utils.private_dir import PrivateDir, is_owned

if TYPE_CHECKING:
    from localtune.compat.tasks import TaskPool
    from localtune.execution.local_slots import LocalExecutor


@dataclass(frozen=True)
class Limits:
    """What ``ray.init`` was asked for.

    Attributes:
        num_cpus: CPUs that runs may use; None is all of the machine's.
        num_gpus: GPUs that runs may use; None is all of the machine's.
        resources: Further resources, ``{name: amount}``.
        local_mode: Whether everything runs in this process, one after the other.
        environment: Variables for workers.
        paths: Directories from which workers can import.
    """

    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    local_mode: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Facts about a cluster that another process has started.

    Attributes:
        limits: What ``ray.init`` was asked for.
        resources: All resources.
        gpu_ids: Names of the GPUs.
        directory: Directory of the objects.
    """

    limits: Limits
    resources: Mapping[str, float]
    gpu_ids: tuple[str, ...]
    directory: str


class Cluster:
    """Represents the resources and the objects that this process and its workers share.

    Args:
        facts: What all of its processes know.
        private_dir: The directory of the objects, in the process that started the cluster.

    Attributes:
        store: The objects.
    """

    def __init__(self, facts: Facts, private_dir: PrivateDir | None = None) -> None:
        self.facts = facts
        self.store = ObjectStore(facts.directory)
        own_directories.add(facts.directory)
        self._private_dir = private_dir
        self._pid = os.getpid()
        self._pool: TaskPool | None = None
        self._executors: weakref.WeakSet[LocalExecutor] = weakref.WeakSet()
        self._before = preparation.prepare
        preparation.prepare = functools.partial(join, facts, self._before)

    @classmethod
    def start(cls, limits: Limits) -> Cluster:
        """Starts a cluster.

        Args:
            limits: What it may use.

        Raises:
            ValueError: for amounts that make no sense.
            StorageError: if the directory for objects cannot be made.
        """
        from localtune.execution.local_slots import LocalSlots

        slots = LocalSlots(limits.num_cpus, limits.num_gpus, limits.resources)
        private_dir = PrivateDir()
        facts = Facts(limits, dict(slots.resources()), slots.gpu_ids, private_dir.path)
        return cls(facts, private_dir)

    @property
    def is_own(self) -> bool:
        """Whether this process has started the cluster."""
        return self._private_dir is not None and os.getpid() == self._pid

    @property
    def pool(self) -> TaskPool:
        """The processes of the remote functions that this process calls."""
        from localtune.compat.tasks import TaskPool

        # A forked process has no threads of the pool.
        if self._pool is None or self._pool.pid != os.getpid():
            self._pool = TaskPool(self.store, *self._share())
        return self._pool

    def make_executor(self) -> LocalExecutor:
        """Returns an executor for a run within the limits."""
        from localtune.execution.in_process import InProcessExecutor
        from localtune.execution.local_process import ProcessExecutor

        limits = self.facts.limits
        kind = InProcessExecutor if limits.local_mode else ProcessExecutor
        executor = kind(limits.num_cpus, limits.num_gpus, limits.resources)
        if limits.local_mode:
            executor.slots.limit(1, "ray.init() was called with local_mode=True")
        self._executors.add(executor)
        return executor

    def _share(self) -> tuple[Mapping[str, float], tuple[str, ...]]:
        """Returns the resources and the GPUs for remote functions: a trial has its own."""
        trial = None if self._private_dir is not None else current_session()
        if trial is None or trial.trial_info is None or trial.trial_info.resources is None:
            return self.facts.resources, self.facts.gpu_ids
        resources = trial.trial_info.resources.required_resources
        gpu_ids = machine.gpu_ids() if resources.get("GPU") else ()
        cpus = max(resources.get("CPU", 0.0), 1.0)
        return {**resources, "CPU": cpus, "GPU": float(len(gpu_ids))}, gpu_ids

    def taken(self) -> dict[str, float]:
        """Returns the resources that runs and remote functions of this process hold."""
        total: dict[str, float] = {}
        pools = [] if self._pool is None else [self._pool.taken()]
        for each in [executor.slots.taken() for executor in self._executors] + pools:
            for name, amount in each.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def close(self) -> None:
        """Ends the processes of remote functions; removes the objects."""
        preparation.prepare = self._before
        own_directories.discard(self.facts.directory)
        if self._pool is not None and self._pool.pid == os.getpid():
            self._pool.close()
        if self.is_own:
            assert self._private_dir is not None
            self._private_dir.remove()


_current: Cluster | None = None


def current() -> Cluster | None:
    """Returns the cluster of this process; None before ``ray.init``."""
    return _current


def ensure() -> Cluster:
    """Returns the cluster of this process; starts one if there is none."""
    return begin(Limits()) if _current is None else _current


def begin(limits: Limits) -> Cluster:
    """Starts the cluster of this process.

    Args:
        limits: What it may use.

    Raises:
        ValueError: for amounts that make no sense.
    """
    global _current
    from multiprocessing.util import Finalize

    _current = Cluster.start(limits)
    # Functions of atexit are not called in a child of multiprocessing.
    Finalize(None, end, exitpriority=0)
    return _current


def end() -> None:
    """Ends the cluster of this process, if there is one."""
    global _current
    cluster, _current = _current, None
    atexit.unregister(end)
    if cluster is not None:
        cluster.close()


def join(facts: Facts, before: Callable[[], None] | None) -> None:
    """Joins the cluster of the process that pickled a trainable, before the trainable is loaded.

    Args:
        facts: The cluster.
        before: What that process had to do before it started the cluster.
    """
    global _current
    if before is not None:
        before()
    # The cluster of a process that has ended is of no use: an experiment is resumed.
    if _current is not None or not is_owned(facts.directory):
        return
    _current = Cluster(facts)
    atexit.register(end)
    os.environ.update(facts.limits.environment)
    sys.path.extend(path for path in facts.limits.paths if path not in sys.path)
