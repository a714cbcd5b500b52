"""What the code of a trial or of a remote function asks about itself."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import Any

from localtune.compat import calls, cluster
from localtune.execution import machine
from localtune.trainable.active_session import current_session

NODE_IP = "127.0.0.1"
_JOB_ID = "01000000"
# The modes of a process.
SCRIPT_MODE, WORKER_MODE, LOCAL_MODE = 0, 1, 2


def node_id() -> str:
    """Returns the name of this machine's node, in hexadecimal digits."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:56]


def get_gpu_ids() -> list[Any]:
    """Returns the GPUs of the trial or the remote function that calls it.

    Returns:
        Numbers, or texts for GPUs that have other names; none in the process of the script.
    """
    if calls.running:
        return [_number(each) for each in calls.running[-1].gpu_ids]
    here = cluster.current()
    if here is None or not here.facts.gpu_ids:
        return []
    if here.is_own and current_session() is None and not here.facts.limits.local_mode:
        return []
    return [_number(each) for each in machine.gpu_ids()]


def _number(name: str) -> int | str:
    return int(name) if name.isdigit() else name


class RuntimeContext:
    """Gives facts about the process, the trial or the remote function that asks."""

    namespace = "localtune"
    gcs_address = NODE_IP
    was_current_actor_reconstructed = False

    @property
    def job_id(self) -> str:
        """Name of the job."""
        return _JOB_ID

    @property
    def node_id(self) -> str:
        """Name of the node, this machine."""
        return node_id()

    @property
    def task_id(self) -> str | None:
        """Name of the call of a remote function; None elsewhere."""
        return self.get_task_id()

    @property
    def worker(self) -> _Worker:
        """The kind of this process."""
        return _Worker()

    @property
    def runtime_env(self) -> dict[str, Any]:
        """Variables that ``ray.init`` was given for workers."""
        here = cluster.current()
        variables = dict(here.facts.limits.environment) if here is not None else {}
        return {"env_vars": variables} if variables else {}

    def get(self) -> dict[str, Any]:
        """Returns the most important facts in one dict."""
        return {"job_id": _JOB_ID, "node_id": node_id(), "namespace": self.namespace}

    def get_job_id(self) -> str:
        """Returns the name of the job."""
        return _JOB_ID

    def get_node_id(self) -> str:
        """Returns the name of the node, this machine."""
        return node_id()

    def get_worker_id(self) -> str:
        """Returns a name of this process."""
        return f"{os.getpid():056x}"

    def get_task_id(self) -> str | None:
        """Returns a name of the call of a remote function; None elsewhere."""
        results = calls.running[-1].results if calls.running else ()
        return results[0] if results else None

    def get_task_name(self) -> str | None:
        """Returns the name of the remote function that runs; None elsewhere."""
        return calls.running[-1].name if calls.running else None

    def get_task_function_name(self) -> str | None:
        """Returns the name of the remote function that runs; None elsewhere."""
        return self.get_task_name()

    def get_actor_id(self) -> None:
        """Returns None: localtune has no actors."""

    def get_actor_name(self) -> None:
        """Returns None: localtune has no actors."""

    def get_placement_group_id(self) -> None:
        """Returns None: all resources are on this machine."""

    def get_runtime_env_string(self) -> str:
        """Returns what ``ray.init`` was given for workers, as JSON."""
        import json

        return json.dumps(self.runtime_env)

    def get_assigned_resources(self) -> dict[str, float]:
        """Returns the resources of the trial or the remote function, ``{name: amount}``."""
        if calls.running:
            return dict(calls.running[-1].resources)
        session = current_session()
        trial = session.trial_info if session is not None else None
        if trial is None or trial.resources is None:
            return {}
        return trial.resources.required_resources

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Returns the GPUs, as :meth:`get_accelerator_ids` does."""
        return self.get_accelerator_ids()

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Returns the GPUs of the trial or the remote function, as ``{"GPU": [...]}``."""
        return {"GPU": [str(each) for each in get_gpu_ids()]}


class _Worker:
    """Tells the kind of a process.

    Attributes:
        mode: ``SCRIPT_MODE``, ``WORKER_MODE`` or ``LOCAL_MODE``.
    """

    @property
    def mode(self) -> int:
        here = cluster.current()
        if here is not None and here.facts.limits.local_mode:
            return LOCAL_MODE
        return SCRIPT_MODE if here is None or here.is_own else WORKER_MODE

    @property
    def connected(self) -> bool:
        """Whether there is a cluster."""
        return cluster.current() is not None


_context = RuntimeContext()


def get_runtime_context() -> RuntimeContext:
    """Returns the object with facts about the process, the trial or the remote function."""
    return _context
