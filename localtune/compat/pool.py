"""Pool of ``ray.util.multiprocessing``, and its backend for joblib."""

from __future__ import annotations

import multiprocessing.pool
from collections.abc import Callable, Iterable
from typing import Any


class Pool(multiprocessing.pool.Pool):
    """A pool of processes of this machine.

    Args:
        processes: Number of processes; None is the number of CPUs.
        initializer: Function that each process calls first.
        initargs: Its arguments.
        maxtasksperchild: Number of tasks after which a process is replaced.
        context: How processes start; see :mod:`multiprocessing`.
        ray_address: Has no effect: there is one machine.
        ray_remote_args: Has no effect.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] | None = None,
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: dict[str, Any] | None = None,
    ) -> None:
        context = context or multiprocessing.get_context()
        super().__init__(processes, initializer, initargs or (), maxtasksperchild, context)


def register_ray() -> None:
    """Makes ``joblib.parallel_backend("ray")`` mean joblib's own processes."""
    import joblib
    from joblib._parallel_backends import LokyBackend

    joblib.register_parallel_backend("ray", LokyBackend)
