"""Parts of a searcher's state that do not change any more, so that a run writes each of them once.

A searcher that learns from each trial has a state that grows with each trial. A run that wrote all
of it with each trial would spend more and more time on it::

    PickledParts -- pickled outside of a run --> all parts
         \\-------- pickled in a run ----------> a reference: name and number of parts
                                                 Archive --> each new part, under a key of its own
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from localtune.error import LocaltuneInternalError


class PickledParts:
    """A list of pickles that only grows.

    Args:
        parts: The first parts.
        name: Its name in archives; None draws one.
    """

    def __init__(self, parts: Iterable[bytes] = (), name: str | None = None) -> None:
        self._parts = list(parts)
        self._name = name or os.urandom(8).hex()

    def append(self, part: bytes) -> None:
        """Adds a part."""
        self._parts.append(part)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __reduce__(self) -> tuple[Callable[..., PickledParts], tuple[Any, ...]]:
        archive = _in_use.archive
        if archive is None:
            return PickledParts, (self._parts,)
        archive.note(self._name, self._parts)
        return _from_archive, (self._name, len(self._parts))


class Archive:
    """The parts of a run's searcher, which are written apart from the rest of its state.

    Attributes:
        read: Returns the part that was written under a key, None if there is none.
    """

    def __init__(self) -> None:
        self.read: Callable[[str], bytes | None] = lambda key: None
        self._lists: dict[str, list[bytes]] = {}
        self._written: dict[str, int] = {}

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Lets this thread pickle and load references to the parts."""
        before, _in_use.archive = _in_use.archive, self
        try:
            yield
        finally:
            _in_use.archive = before

    def unwritten(self) -> dict[str, bytes]:
        """Returns {key: part} of the parts that it has not returned before."""
        new: dict[str, bytes] = {}
        # The searcher's thread may add lists and parts meanwhile.
        for name, parts in list(self._lists.items()):
            first, end = self._written.get(name, 0), len(parts)
            new.update((_key(name, number), parts[number]) for number in range(first, end))
            self._written[name] = end
        return new

    def note(self, name: str, parts: list[bytes]) -> None:
        """Takes a list, which may grow later.

        Args:
            name: Its name.
            parts: Its parts.
        """
        self._lists[name] = parts

    def take(self, name: str, length: int) -> PickledParts:
        """Returns a list of which a state has a reference.

        Args:
            name: Its name.
            length: Number of its parts.

        Raises:
            LocaltuneInternalError: if a part is missing.
        """
        parts = [self.read(_key(name, number)) for number in range(length)]
        known = [part for part in parts if part is not None]
        if len(known) < length:
            raise LocaltuneInternalError(f"{length - len(known)} of {length} parts are missing.")
        self.note(name, known)
        found = PickledParts(name=name)
        found._parts = known
        return found


class _InUse(threading.local):
    """Holds the archive that each thread uses."""

    archive: Archive | None = None


_in_use = _InUse()


def _key(name: str, number: int) -> str:
    return f"searcher/{name}/{number}"


def _from_archive(name: str, length: int) -> PickledParts:
    if _in_use.archive is None:
        raise LocaltuneInternalError("A state with parts in an archive is loaded without it.")
    return _in_use.archive.take(name, length)
