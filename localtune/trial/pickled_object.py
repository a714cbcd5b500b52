"""Represents an object in a result as a pickle with a text, so that the parent need not load it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localtune.result import CONFIG_PREFIX


@dataclass(frozen=True, slots=True, repr=False)
class PickledObject:
    """Replaces an object in a result that is neither a number nor text nor a container.

    The process that runs an experiment handles the results of all trials. It never loads these
    pickles, because the object's class could raise, block, or end the process. The ``str()`` and
    ``repr()`` are the ``str()`` of the object, made in the worker.

    Attributes:
        type_name: Qualified name of the object's class.
        text: The ``str()`` of the object.
        data: The pickled object.
    """

    type_name: str
    text: str
    data: bytes

    def load(self) -> Any:
        """Loads the pickle.

        Returns:
            The object.

        Raises:
            Exception: any error of the object's class, or of importing it.
        """
        return pickle.loads(self.data)

    def __str__(self) -> str:
        return self.text

    # The repr() of a container then contains the text instead of the bytes.
    __repr__ = __str__


def opened_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a result with its pickled objects loaded, except for those in its config.

    Args:
        result: Result from a worker; not changed.
    """
    return {key: item if key == CONFIG_PREFIX else opened(item) for key, item in result.items()}


def opened(value: Any) -> Any:
    """Returns a result, or a part of one, with its pickled objects loaded.

    Args:
        value: Value from a worker; not changed.

    Returns:
        ``value`` itself if it contains no :class:`PickledObject`. A pickle that cannot be loaded
        stays as it is.
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
