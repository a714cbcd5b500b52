"""Search spaces in a library's own form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from localtune.search.containers import CONTAINERS, children, rebuilt
from localtune.search.convert import ConvertedSpace


class NativeSpace(ConvertedSpace):
    """Base class of search spaces in a library's own form; ``parameters`` is empty.

    Args:
        library: Name of the library, for errors.
    """

    def __init__(self, library: str) -> None:
        super().__init__({}, library)

    @abstractmethod
    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the configuration for the values that the library chose."""

    @abstractmethod
    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        """Returns the values that the library must choose for a configuration.

        Args:
            config: The configuration, in the library's names.
            what: Name of the configuration in errors.
            all_known: Whether a key that is not in the space is an error.

        Raises:
            ValueError: if the configuration does not fit the space.
        """


def plain(value: Any) -> Any:
    """Returns a copy of a configuration with NumPy's scalars converted to Python's numbers."""
    if isinstance(value, CONTAINERS):
        return rebuilt(value, [(key, plain(item)) for key, item in children(value)])
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


def known_part(
    given: Mapping[str, Any], known: set[str], what: str, library: str, all_known: bool
) -> dict[str, Any]:
    """Returns the items of a point whose names are in the library's space.

    Args:
        given: The point.
        known: Names of the space.
        what: Name of the point in errors.
        library: Name of the library, for errors.
        all_known: Whether an unknown name is an error.

    Raises:
        ValueError: for an unknown name, if ``all_known``.
    """
    unknown = sorted(set(given) - known)
    if unknown and all_known:
        raise ValueError(
            f"{what} has {', '.join(map(repr, unknown))}, which {library} does not know. "
            f"Its names are: {', '.join(sorted(known))}."
        )
    return {name: value for name, value in given.items() if name in known}
