"""Stands for ``ray.exceptions``."""

from __future__ import annotations

from localtune.compat.errors import ActorDiedError as ActorDiedError
from localtune.compat.errors import ActorUnavailableError as ActorUnavailableError
from localtune.compat.errors import ActorUnschedulableError as ActorUnschedulableError
from localtune.compat.errors import GetTimeoutError as GetTimeoutError
from localtune.compat.errors import NodeDiedError as NodeDiedError
from localtune.compat.errors import ObjectLostError as ObjectLostError
from localtune.compat.errors import ObjectStoreFullError as ObjectStoreFullError
from localtune.compat.errors import OutOfDiskError as OutOfDiskError
from localtune.compat.errors import OutOfMemoryError as OutOfMemoryError
from localtune.compat.errors import OwnerDiedError as OwnerDiedError
from localtune.compat.errors import RayActorError as RayActorError
from localtune.compat.errors import RayError as RayError
from localtune.compat.errors import RaySystemError as RaySystemError
from localtune.compat.errors import RayTaskError as RayTaskError
from localtune.compat.errors import RuntimeEnvSetupError as RuntimeEnvSetupError
from localtune.compat.errors import TaskCancelledError as TaskCancelledError
from localtune.compat.errors import TaskUnschedulableError as TaskUnschedulableError
from localtune.compat.errors import WorkerCrashedError as WorkerCrashedError

# Names of earlier releases.
RayTimeoutError = GetTimeoutError
RayWorkerError = WorkerCrashedError
RayOutOfMemoryError = OutOfMemoryError
UnreconstructableError = ObjectLostError
