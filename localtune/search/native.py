"""Search spaces in the terms of a library: nothing is converted but numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from localtune.search.containers import CONTAINERS, children, rebuilt
from localtune.search.convert import ConvertedSpace


class NativeSpace(ConvertedSpace):
    """Base class: stands where a converted space stands, and knows no parameters.

    Args:
        library: Name of the library.
    """

    def __init__(self, library: str) -> None:
        super().__init__({}, library)

    @abstractmethod
    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration for what the library chose."""

    @abstractmethod
    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        """What the library must choose for a configuration.

        Args:
            config: In the terms of the library.
            what: How to call it in errors.
            all_known: Whether a key that the space does not have is an error.

        Raises:
            ValueError: if it does not fit the space.
        """


def plain(value: Any) -> Any:
    """A copy of a configuration with Python's numbers in place of NumPy's."""
    if isinstance(value, CONTAINERS):
        return rebuilt(value, [(key, plain(item)) for key, item in children(value)])
    # Scalars of NumPy have no dimensions; arrays are left as they are.
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


def known_part(
    given: Mapping[str, Any], known: set[str], what: str, library: str, all_known: bool
) -> dict[str, Any]:
    """What a point says about names of the library's space.

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
