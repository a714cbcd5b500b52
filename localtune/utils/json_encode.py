"""Encodes values that JSON does not support, as result and parameter files contain them."""

from __future__ import annotations

import json
import numbers
import sys
from typing import Any

from localtune.utils.text import text_of


class SafeJsonEncoder(json.JSONEncoder):
    """Encodes any value; the last resort is its ``str()``.

    Numbers of any library become int or float, arrays become lists, and NumPy booleans become
    booleans. NaN and infinite Python floats become ``NaN`` and ``Infinity``. A NaN of another
    number type, such as ``numpy.float32``, becomes the text ``"null"``.
    """

    def default(self, o: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            if isinstance(o, numpy.bool_):
                return bool(o)
            if isinstance(o, numpy.ndarray):
                return o.tolist()
        if isinstance(o, numbers.Integral):
            return int(o)
        if isinstance(o, numbers.Number):
            return _to_float(o)
        return text_of(o)


_compact = SafeJsonEncoder()
_lines = SafeJsonEncoder(separators=(",\n  ", ": "))
_MAX_DEPTH = 100


def dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Returns a value as JSON text.

    Args:
        value: Any value; dict keys that JSON does not support become their ``str()``.
        indent: Spaces for each level; None writes one line.
        sort_keys: Whether to sort the keys of each dict.

    Example:
        >>> dumps({"loss": float("nan"), "shape": (2, 3), "kind": complex})
        '{"loss": NaN, "shape": [2, 3], "kind": "<class \\'complex\\'>"}'
    """
    if indent is None and not sort_keys:
        encoder = _compact
    else:
        encoder = SafeJsonEncoder(indent=indent, sort_keys=sort_keys)
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        # The causes: keys that JSON does not support or that cannot be sorted together, integers
        # with too many digits, and containers that contain themselves.
        return encoder.encode(_writable(value, 0))


def params_json(config: Any) -> bytes:
    """Returns the content of a trial's ``params.json``.

    Args:
        config: The trial's configuration.
    """
    text = _flat_json(config)
    if text is None:
        text = dumps(config, indent=2, sort_keys=True)
    return text.encode("utf-8", "backslashreplace")


_FLAT = frozenset({float, int, bool, str, type(None)})


def _flat_json(config: Any) -> str | None:
    """Returns ``dumps(config, indent=2, sort_keys=True)`` of a dict without containers in it.

    With ``indent``, ``json`` encodes in Python, which takes several times as long.

    Returns:
        None for any other value.
    """
    if type(config) is not dict or not config:
        return None
    for key, value in config.items():
        if type(key) is not str or type(value) not in _FLAT:
            return None
    try:
        # A line break is encoded in a text, so it occurs between entries only.
        return "{\n  " + _lines.encode(dict(sorted(config.items())))[1:-1] + "\n}"
    except ValueError:
        return None  # An integer with too many digits.


def _to_float(number: Any) -> Any:
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        return text_of(number)
    return "null" if value != value else value


def _writable(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else text_of(key): _writable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_writable(item, depth + 1) for item in value]
    if isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError:
            return f"<an integer of {value.bit_length()} bits>"
    return value


# A value in the place of an object that JSON does not support: its pickle as hexadecimal digits.
_KIND, _PICKLED = "_type", "CLOUDPICKLE_FALLBACK"


class TuneFunctionEncoder(SafeJsonEncoder):
    """Encodes any value: what is no number and no array is pickled, functions for instance.

    Example:
        >>> text = json.dumps({"lr": 0.1, "activation": max}, cls=TuneFunctionEncoder)
        >>> json.loads(text, cls=TuneFunctionDecoder, allow_pickle=True)["activation"](1, 2)
        2
    """

    def default(self, o: Any) -> Any:
        numpy = sys.modules.get("numpy")
        is_array = numpy is not None and isinstance(o, (numpy.ndarray, numpy.bool_))
        if is_array or isinstance(o, numbers.Number):
            return super().default(o)
        import cloudpickle

        return {_KIND: _PICKLED, "value": cloudpickle.dumps(o).hex()}


class TuneFunctionDecoder(json.JSONDecoder):
    """Decodes what :class:`TuneFunctionEncoder` encoded.

    Args:
        *args: Arguments of ``json.JSONDecoder``.
        allow_pickle: Whether to load pickled objects. That runs code which the text names: allow it
            only for text that you wrote yourself.
        **kwargs: Arguments of ``json.JSONDecoder``.
    """

    def __init__(self, *args: Any, allow_pickle: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, object_hook=self._object, **kwargs)
        self._allow_pickle = allow_pickle

    def _object(self, value: dict[str, Any]) -> Any:
        if value.get(_KIND) != _PICKLED:
            return value
        if not self._allow_pickle:
            raise ValueError(
                "The text holds a pickled object, and loading it runs code that the text names. "
                "Pass allow_pickle=True for text that you wrote yourself."
            )
        import pickle

        return pickle.loads(bytes.fromhex(value["value"]))
