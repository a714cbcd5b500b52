"""Flattens, unflattens, searches and merges nested dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

_MISSING: Any = object()


def flatten_dict(
    dt: dict[Any, Any],
    delimiter: str = "/",
    prevent_delimiter: bool = False,
    flatten_list: bool = False,
) -> dict[Any, Any]:
    """Returns a dict without dicts in it: nested keys are joined.

    Args:
        dt: Dict to flatten; not changed.
        delimiter: Text between the parts of a key.
        prevent_delimiter: Whether to refuse keys that contain the delimiter.
        flatten_list: Whether to flatten lists, too, with their positions as keys.

    Returns:
        A dict of the same type. The keys of the top level come first, then those of each deeper
        level. Empty dicts are dropped.

    Raises:
        TypeError: for a dict under a key that is not a string.
        ValueError: for a key that contains the delimiter, with ``prevent_delimiter``.

    Example:
        >>> flatten_dict({"model": {"layers": 2, "dropout": {"rate": 0.1}}, "lr": 0.01})
        {'lr': 0.01, 'model/layers': 2, 'model/dropout/rate': 0.1}
    """
    nesting = (dict, list) if flatten_list else dict
    if prevent_delimiter:
        _refuse_delimiter(dt, delimiter)
    flat = dt.copy() if type(dt) is dict else copy.copy(dt)
    nested = [(key, value) for key, value in dt.items() if isinstance(value, nesting)]
    while nested:
        for key, _ in nested:
            flat.pop(key, None)
        deeper = []
        for key, value in nested:
            if not isinstance(key, str):
                raise TypeError(
                    f"A key with a dict under it must be a string, but got {key!r}. "
                    "Flat keys are joined strings."
                )
            if prevent_delimiter:
                _refuse_delimiter(value, delimiter)
            for sub_key, item in value.items() if isinstance(value, dict) else enumerate(value):
                path = f"{key}{delimiter}{sub_key}"
                flat[path] = item
                if isinstance(item, nesting):
                    deeper.append((path, item))
        nested = deeper
    return flat


def unflatten_dict(dt: dict[Any, Any], delimiter: str = "/") -> dict[Any, Any]:
    """Returns the nested dict that a flat one was made from.

    Args:
        dt: Flat dict; not changed.
        delimiter: Text between the parts of a key.

    Returns:
        A dict whose levels all have the type of ``dt``.

    Raises:
        ValueError: if a key is also the first part of another key.

    Example:
        >>> unflatten_dict({"lr": 0.01, "model/layers": 2})
        {'lr': 0.01, 'model': {'layers': 2}}
    """
    nested, _ = _unflatten(dt, delimiter)
    return nested


def unflatten_list_dict(dt: dict[str, Any], delimiter: str = "/") -> Any:
    """Returns the nested structure of a flat dict, with lists where the key parts are 0, 1, 2, ...

    Args:
        dt: Flat dict, as ``flatten_dict(..., flatten_list=True)`` makes it; not changed.
        delimiter: Text between the parts of a key.

    Returns:
        A dict, or a list if the first parts of the keys are positions.

    Raises:
        ValueError: if a key is also the first part of another key.

    Example:
        >>> unflatten_list_dict({"layers/0": 64, "layers/1": 32, "lr": 0.01})
        {'layers': [64, 32], 'lr': 0.01}
    """
    nested, made = _unflatten(dt, delimiter)
    return _positions_to_lists(nested, made)


def unflattened_lookup(
    flat_key: str,
    lookup: Mapping[Any, Any] | Sequence[Any],
    delimiter: str = "/",
    default: Any = _MISSING,
) -> Any:
    """Returns the value that a flat key has in a nested structure.

    Args:
        flat_key: The joined parts of the key; the function tries the whole key first.
        lookup: Nested mappings and sequences.
        delimiter: Text between the parts.
        default: Result for a missing value.

    Raises:
        KeyError: if the value is missing and ``default`` was not given.

    Example:
        >>> unflattened_lookup("layers/1/units", {"layers": [{"units": 64}, {"units": 32}]})
        32
    """
    if isinstance(lookup, Mapping) and flat_key in lookup:
        return lookup[flat_key]
    value: Any = lookup
    for part in flat_key.split(delimiter):
        value = _item(value, part)
        if value is _MISSING:
            if default is _MISSING:
                raise KeyError(flat_key)
            return default
    return value


def merge_dicts(d1: dict[Any, Any], d2: dict[Any, Any]) -> dict[Any, Any]:
    """Returns a deep copy of ``d1``, updated level by level with a deep copy of ``d2``.

    Args:
        d1: Nested dict; not changed.
        d2: Nested dict with new or other values; not changed.

    Example:
        >>> merge_dicts({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": 4})
        {'a': {'x': 1, 'y': 3}, 'b': 4}
    """
    return deep_update(copy.deepcopy(d1), copy.deepcopy(d2), new_keys_allowed=True)


def deep_update(
    original: dict[Any, Any],
    new_dict: dict[Any, Any],
    new_keys_allowed: bool = False,
    allow_new_subkey_list: Sequence[Any] | None = None,
    override_all_if_type_changes: Sequence[Any] | None = None,
    override_all_key_list: Sequence[Any] | None = None,
) -> dict[Any, Any]:
    """Updates a nested dict in place, level by level.

    Args:
        original: Dict to change.
        new_dict: New values; a dict is merged with the dict under the same key in ``original``.
        new_keys_allowed: Whether ``new_dict`` may add keys, on any level.
        allow_new_subkey_list: Keys of the top level below which ``new_dict`` may always add keys.
        override_all_if_type_changes: Keys of the top level whose dict is replaced instead of merged
            if its item ``"type"`` changes.
        override_all_key_list: Keys of the top level whose dict is always replaced.

    Returns:
        ``original``.

    Raises:
        ValueError: for a new key that is not allowed.
    """
    for key, value in new_dict.items():
        if key not in original and not new_keys_allowed:
            raise ValueError(
                f"The dict may not get new keys, but got {key!r}. "
                f"Known keys: {', '.join(map(repr, original)) or 'none'}."
            )
        old = original.get(key)
        replaced = key in (override_all_key_list or ()) or (
            key in (override_all_if_type_changes or ()) and _type_changes(old, value)
        )
        if isinstance(old, dict) and isinstance(value, dict) and not replaced:
            deep_update(old, value, new_keys_allowed or key in (allow_new_subkey_list or ()))
        else:
            original[key] = value
    return original


def _type_changes(old: Any, new: Any) -> bool:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return True
    return "type" in old and "type" in new and bool(old["type"] != new["type"])


def _refuse_delimiter(dt: Any, delimiter: str) -> None:
    for key in dt if isinstance(dt, dict) else ():
        if isinstance(key, str) and delimiter in key:
            raise ValueError(
                f"A key must not contain {delimiter!r}, but got {key!r}: "
                "it separates the parts of flat keys."
            )


def _unflatten(dt: dict[Any, Any], delimiter: str) -> tuple[dict[Any, Any], set[int]]:
    """Returns the nested dict, and the ids of the dicts made for it: values may be dicts, too."""
    cls = type(dt)
    nested = cls()
    made = {id(nested)}
    for key, value in dt.items():
        *outer_parts, last = key.split(delimiter) if isinstance(key, str) else [key]
        node = nested
        for part in outer_parts:
            child = node.get(part, _MISSING)
            if child is _MISSING:
                child = node[part] = cls()
            elif not isinstance(child, dict):
                raise _conflict(key)
            elif id(child) not in made:
                child = node[part] = copy.copy(child)
            made.add(id(child))
            node = child
        if last in node:
            raise _conflict(key)
        node[last] = value
    return nested, made


def _conflict(key: Any) -> ValueError:
    return ValueError(
        f"No flat key may be the first part of another one, but a part of {key!r} has a value."
    )


def _positions_to_lists(node: Any, made: set[int]) -> Any:
    if id(node) not in made:
        return node
    for key, value in node.items():
        node[key] = _positions_to_lists(value, made)
    positions = [str(position) for position in range(len(node))]
    if node and all(position in node for position in positions):
        return [node[position] for position in positions]
    return node


def _item(container: Any, part: str) -> Any:
    if isinstance(container, Mapping):
        return container.get(part, _MISSING)
    if isinstance(container, Sequence) and not isinstance(container, (str, bytes)):
        try:
            return container[int(part)]
        except (ValueError, IndexError):
            return _MISSING
    return _MISSING
