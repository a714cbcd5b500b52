"""An object in a result, as it travels: closed, with a text for those who do not open it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localtune.result import CONFIG_PREFIX


@dataclass(frozen=True, slots=True, repr=False)
class PickledObject:
    """What stands in a result for an object that is neither a number nor text nor a container.

    The process that runs an experiment handles results of all trials. It never opens one of
    these: the object's class could raise there, wait there, or end the process. Its ``str()``
    and ``repr()`` are the ``str()`` of the object, made in the worker.

    Attributes:
        type_name: Qualified name of the object's class.
        text: What ``str()`` of the object gave.
        data: The object as a pickle.
    """

    type_name: str
    text: str
    data: bytes

    def load(self) -> Any:
        """Opens the pickle.

        Returns:
            The object.

        Raises:
            Exception: Whatever its class, or importing that, raises.
        """
        return pickle.loads(self.data)

    def __str__(self) -> str:
        return self.text

    # A container that shows its items shows their text, too, and no bytes of a pickle.
    __repr__ = __str__


def opened_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result with the objects themselves in it; its config is left as it is.

    Args:
        result: As it came from a worker; left as it is.
    """
    return {key: item if key == CONFIG_PREFIX else opened(item) for key, item in result.items()}


def opened(value: Any) -> Any:
    """A result, or a part of one, with the objects themselves in it.

    Args:
        value: As it came from the worker; left as it is.

    Returns:
        The same, if there is no :class:`PickledObject` in it. One that cannot be opened stays.
    """
    if isinstance(value, PickledObject):
        try:
            return value.load()
        except Exception:
            return value
    if isinstance(value, dict):
        parts = {key: opened(item) for key, item in value.items()}
        return parts if any(parts[key] is not value[key] for key in value) else value
    if type(value) in (list, tuple):
        items = [opened(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value
