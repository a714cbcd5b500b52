"""RawReply: a reply of a worker that an agent passes on without reading it."""

from __future__ import annotations

from localtune.execution.executor import Replied
from localtune.worker import messages


class RawReply(Replied):
    """A reply whose bytes go on to the parent as they are.

    Args:
        worker_id: The worker.
        data: The bytes.
    """

    __slots__ = ("data",)

    def __init__(self, worker_id: int, data: bytes) -> None:
        super().__init__(worker_id, messages.Stopped())
        object.__setattr__(self, "data", data)

    data: bytes
