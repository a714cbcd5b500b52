"""Writes the program of the workers, and decides where the data that they share lives.

::

      private directory, on the file system of TMPDIR          another one, in memory
        program             the pickle
        program.data        data of arrays; or a link  ------>   program.data
        children_main.py
        .elsewhere          a link  ------------------------->

Data in a file of the memory file system costs no writing to a disk. But this memory is taken until
the run ends, while the system can take back the pages of a file on a disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from localtune.error import StorageError
from localtune.execution import machine
from localtune.utils import private_dir
from localtune.utils.messages import get_logger
from localtune.utils.private_dir import PrivateDir
from localtune.utils.text import format_bytes
from localtune.worker.program import WorkerProgram, children_main, children_main_path, data_path

logger = get_logger(__name__)

# Pickling so much has taken memory that the allocator keeps, about a sixth of the objects' size.
_LARGE_PICKLE_BYTES = 4 * 1024 * 1024
# Less data stays in the private directory: another one is not worth it.
_LEAST_ELSEWHERE_BYTES = 8 * 1024 * 1024
# The file takes no more than this share of the memory that is left, and of the file system.
_MOST_SHARE = 0.5


def write_program(program: WorkerProgram | bytes, directory: PrivateDir) -> str:
    """Writes the program of the workers.

    Args:
        program: The program; bytes are one that is pickled already.
        directory: Where it is written. Large data may go to a file system in memory instead.

    Returns:
        The path for :func:`~localtune.worker.program.load_program`.

    Raises:
        TypeError: if the program cannot be pickled.
        StorageError: if there is no room. The directory is removed then.
    """
    with directory.create("program") as file:
        if isinstance(program, bytes):
            file.write(program)
            parts = []
        else:
            parts = program.write(file)
    path = os.path.join(directory.path, "program")
    if os.path.getsize(path) >= _LARGE_PICKLE_BYTES:
        _give_memory_back()
    if parts:
        _write_data(parts, directory, os.path.basename(data_path(path)))
    main_path = children_main_path(path)
    directory.write(os.path.basename(main_path), children_main(path).encode())
    return path


def _write_data(parts: Sequence[memoryview], directory: PrivateDir, name: str) -> None:
    size = sum(part.nbytes for part in parts)
    if _has_room_in_memory(size):
        try:
            other = directory.elsewhere(private_dir.MEMORY_ROOT)
            _write(parts, other, name)
            os.symlink(os.path.join(other.path, name), os.path.join(directory.path, name))
            return
        except (StorageError, OSError) as error:
            logger.warning(
                "The data that trials share, %s, cannot be written to %s: it goes to %s. (%s)",
                *(format_bytes(size), private_dir.MEMORY_ROOT, directory.path),
                error.__cause__ or error,
            )
    _write(parts, directory, name)


def _write(parts: Sequence[memoryview], directory: PrivateDir, name: str) -> None:
    from localtune.utils.part_file import write_parts

    with directory.create(name) as file:
        write_parts(file.write, parts)
    size = sum(part.nbytes for part in parts)
    logger.debug("Data that trials share: %s in %s", format_bytes(size), directory.path)


def _has_room_in_memory(size: int) -> bool:
    """Tells whether so much data may go to the file system in memory."""
    if not private_dir.MEMORY_ROOT or size < _LEAST_ELSEWHERE_BYTES:
        return False
    try:
        status = os.statvfs(private_dir.MEMORY_ROOT)
    except OSError:
        return False
    free = min(status.f_bavail * status.f_frsize, machine.memory_left_bytes())
    return size <= _MOST_SHARE * free


def _give_memory_back() -> None:
    """Gives free memory of this process back to the system, where the C library can do that."""
    import ctypes

    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
