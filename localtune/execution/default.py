"""The executor of runs that name none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localtune.execution.executor import Executor

# Makes the executor in place of a ProcessExecutor with all of the machine's resources.
# localtune.compat sets it: ray.init() limits what runs may use.
make: Callable[[], Executor] | None = None


def default_executor() -> Executor:
    """Returns a new executor for a run that names none."""
    if make is not None:
        return make()
    from localtune._lazy import importing

    with importing():
        from localtune.execution.local_process import ProcessExecutor

    return ProcessExecutor()
