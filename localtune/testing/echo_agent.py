"""An agent for tests of engines: it tells its process id, and sends back all that it gets."""

from __future__ import annotations

import os
from typing import NoReturn

_CHUNK_BYTES = 1024 * 1024
# Behind the process id.
END_OF_HELLO = b"\n"


def main() -> NoReturn:
    """Serves until its input ends."""
    _write(str(os.getpid()).encode() + END_OF_HELLO)
    while data := os.read(0, _CHUNK_BYTES):
        _write(data)
    os._exit(0)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
