"""Files of several parts, which processes map into memory instead of reading them.

::

    number of parts | length of each part | ... part ... | ... part ...

Parts start at multiples of 64 bytes, as libraries that use vector instructions like best.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Callable, Sequence

_ALIGNMENT = 64
_NUMBER = struct.Struct("<Q")
# Smaller files are read: each mapped file keeps a descriptor open.
_LEAST_MAPPED_BYTES = 1024 * 1024


def write_parts(write: Callable[[memoryview], object], parts: Sequence[memoryview]) -> None:
    """Writes a file of parts, straight from the memory of each part.

    Args:
        write: Writes bytes at the end of the file.
        parts: The parts: contiguous bytes.
    """
    head = b"".join(_NUMBER.pack(each) for each in (len(parts), *(part.nbytes for part in parts)))
    at = 0
    for data in (memoryview(head), *parts):
        gap = -at % _ALIGNMENT
        if gap:
            write(memoryview(bytes(gap)))
        write(data)
        at += gap + data.nbytes


def read_parts(path: str, *, private: bool, may_map: bool = True) -> list[memoryview]:
    """Returns the parts of a file of :func:`write_parts`.

    A large file is mapped, so that all processes share its pages. Where it cannot be mapped, this
    process gets a copy.

    Args:
        path: The file.
        private: Whether the parts are writable. This process alone sees what it writes: the kernel
            copies a page when it is written. Otherwise the parts are read-only.
        may_map: Whether the file may be mapped.
    """
    content = _content(path, private=private, may_map=may_map)
    (count,) = _NUMBER.unpack_from(content)
    at = _NUMBER.size * (1 + count)
    parts = []
    for number in range(count):
        (length,) = _NUMBER.unpack_from(content, _NUMBER.size * (1 + number))
        at += -at % _ALIGNMENT
        parts.append(content[at : at + length])
        at += length
    return parts


def _content(path: str, *, private: bool, may_map: bool) -> memoryview:
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if may_map and size >= _LEAST_MAPPED_BYTES:
            access = mmap.ACCESS_COPY if private else mmap.ACCESS_READ
            # Some file systems have no maps, and there may be no descriptor or address left.
            with contextlib.suppress(OSError, ValueError):
                return memoryview(mmap.mmap(file.fileno(), 0, access=access))
        content = memoryview(bytearray(size))
        at = 0
        while at < size:
            at += file.readinto(content[at:]) or _cut_short(path)
    return content if private else content.toreadonly()


def _cut_short(path: str) -> int:
    raise EOFError(f"{path} is shorter than it was.")
