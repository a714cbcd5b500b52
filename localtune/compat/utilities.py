"""Functions and classes of ``ray.util`` that have a meaning on one machine, or no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localtune.compat.runtime_context import NODE_IP

_logged: set[str] = set()


def get_node_ip_address(address: str = "") -> str:
    """Returns the address of this machine for itself.

    Args:
        address: Accepted for compatibility.
    """
    return NODE_IP


def log_once(key: str) -> bool:
    """Returns True at the first call with a key in this process, False later.

    Args:
        key: Any text.
    """
    if key in _logged:
        return False
    _logged.add(key)
    return True


def list_named_actors(all_namespaces: bool = False) -> list[str]:
    """Returns an empty list: localtune has no actors.

    Args:
        all_namespaces: Accepted for compatibility.
    """
    return []


def get_current_placement_group() -> None:
    """Returns None: all resources are on this machine."""


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: Any = None
) -> tuple[bool, set[str]]:
    """Finds what prevents an object from being sent to another process.

    Args:
        base_obj: The object.
        name: Accepted for compatibility.
        depth: Accepted for compatibility.
        print_file: Accepted for compatibility.

    Returns:
        Whether it can be sent, and the names of the variables that cannot.
    """
    from localtune.utils.serialization import diagnose_serialization

    found = diagnose_serialization(base_obj)
    return (True, set()) if isinstance(found, bool) else (False, found)


class PlacementGroupSchedulingStrategy:
    """An option of remote functions without effect on one machine.

    Args:
        *args: Accepted for compatibility.
        **kwargs: Accepted for compatibility.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = (args, kwargs)


class NodeAffinitySchedulingStrategy(PlacementGroupSchedulingStrategy):
    """An option of remote functions without effect on one machine."""


class RuntimeEnv(dict[str, Any]):
    """The argument ``runtime_env`` of ``ray.init``, as keywords."""


class tqdm:  # In lower case, since scripts import this name.
    """Counts as a progress bar does, and shows nothing: the output belongs to the run.

    Args:
        iterable: What is counted; None if ``update`` is called.
        desc: Has no effect.
        total: The number that is counted to; None for the length of ``iterable``.
        **kwargs: Have no effect.

    Attributes:
        total: The argument.
        n: The number that has been counted.

    Example:
        >>> sum(tqdm([1, 2]))
        3
    """

    def __init__(
        self, iterable: Any = None, desc: str | None = None, total: int | None = None, **kwargs: Any
    ) -> None:
        self.total = total if iterable is None or total is not None else _length(iterable)
        self.n = 0
        self._iterable = () if iterable is None else iterable

    def update(self, n: int = 1) -> None:
        """Counts.

        Args:
            n: How many.
        """
        self.n += n

    def set_description(self, desc: str) -> None:
        """Has no effect.

        Args:
            desc: The text.
        """

    def refresh(self) -> None:
        """Has no effect."""

    def close(self) -> None:
        """Has no effect."""

    def __iter__(self) -> Iterator[Any]:
        for each in self._iterable:
            yield each
            self.n += 1


def _length(iterable: Any) -> int | None:
    return len(iterable) if hasattr(iterable, "__len__") else None
