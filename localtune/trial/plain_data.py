"""Converts reported metrics to plain data of a limited size.

::

    report(metrics) / step()        clean_metrics     checked, copied, numbers made plain
      -> entries that log_result adds
        -> host                     sealed_result     objects replaced by pickles
          ==pipe==> parent          handles only numbers, text, containers and arrays

The parent handles the results of all trials. The trial's worker therefore refuses or pickles every
value that could block the parent or raise an error there.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from localtune.result import (
    DONE,
    EPISODES_THIS_ITER,
    EPISODES_TOTAL,
    SHOULD_CHECKPOINT,
    TIME_THIS_ITER_S,
    TIME_TOTAL_S,
    TIMESTAMP,
    TIMESTEPS_THIS_ITER,
    TIMESTEPS_TOTAL,
    TRAINING_ITERATION,
)
from localtune.trial.pickled_object import PickledObject
from localtune.utils.text import one_line, shorten, text_of

# Limits of the metrics of one result. A result goes through a pipe, into files and into a
# database, and each entry costs the parent time. Larger data belongs in a file of the trial or in
# a checkpoint.
MAX_RESULT_BYTES = 16 * 1024 * 1024
MAX_RESULT_ENTRIES = 128 * 1024
MAX_RESULT_DEPTH = 100
# Larger integers cannot be converted to float, so they cannot be compared with a bound, averaged,
# shown or drawn.
MAX_INTEGER_BITS = 1023

_SCALARS = frozenset({float, bool, type(None)})
_INT64 = 2**63
# Floats, and numbers in JavaScript, represent each integer up to this one.
_MAX_COUNT = 2**53
# A result with at most this many entries, and shorter texts than this, is within all limits.
_FEW = 256
_SHORT = 1024
_ENTRY_BYTES = 8
_SHOWN_CHARACTERS = 80

_REMEDY = (
    "Write such data to a file in the trial's directory or in a checkpoint, and report numbers."
)


def clean_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Checks and copies reported metrics.

    Numbers of other libraries become Python's numbers, keys become text, and subclasses of built-in
    types become the built-in types. Arrays of NumPy are copied. Other objects stay as they are.

    Args:
        metrics: Reported metrics; not changed.

    Returns:
        A new dict with new containers.

    Raises:
        ValueError: if the metrics exceed a limit, a value is a tensor or a module of PyTorch, or
            localtune cannot use the value of a key that it reads.
    """
    return _with_readable_keys(_plain(metrics, _as_is))


def sealed_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the form of a result that is sent: cleaned, with other objects replaced by pickles.

    Args:
        result: A complete result; not changed.

    Returns:
        A new dict.

    Raises:
        ValueError: as :func:`clean_metrics`.
        TypeError: if an object in it cannot be pickled.
    """
    return _with_readable_keys(_plain(result, _as_pickle))


def displayed_value(value: Any) -> Any:
    """Returns a value in plain form for display, with text in place of objects and large values.

    Args:
        value: Any value; not changed.
    """
    try:
        return _Scan(_as_text).clean(value, "value", 0)
    except ValueError:
        return f"<{type(value).__name__}: too large to be shown>"


def _plain(metrics: Mapping[str, Any], object_as: _ObjectAs) -> dict[str, Any]:
    if len(metrics) <= _FEW:
        # The fast path: nearly all results need no conversion.
        for key, value in metrics.items():
            kind = type(value)
            if type(key) is not str or len(key) >= _SHORT:
                break
            if kind in _SCALARS:
                continue
            if kind is int:
                if -_INT64 < value < _INT64:
                    continue
            elif kind is str and len(value) < _SHORT:
                continue
            break
        else:
            return dict(metrics)
    return _Scan(object_as).clean_result(metrics)


class _Scan:
    """Converts one result, and stops as soon as it exceeds a limit.

    Args:
        object_as: Returns the replacement of an object in the result, given the object and its
            path.
    """

    def __init__(self, object_as: _ObjectAs) -> None:
        self._object_as = object_as
        # The modules may be half imported, in another thread: each name may be missing.
        numpy = sys.modules.get("numpy")
        torch = sys.modules.get("torch")
        self._arrays = _types(numpy, "ndarray")
        self._generics = _types(numpy, "generic")
        self._tensors = _types(torch, "Tensor")
        self._modules = _types(getattr(torch, "nn", None), "Module")
        self._as_array: Callable[[Any], Any] = getattr(numpy, "array", lambda value: value)
        self._entries = 0
        self._bytes = 0
        self._bytes_of: dict[str, int] = {}  # {key of the result: bytes}
        self._key = ""
        self._has_slash = False  # Whether a key of a nested dict contains a slash.

    def clean_result(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Converts the whole result. Sizes are counted for each of its keys."""
        self._enter(len(metrics), 0, "the result")
        cleaned: dict[str, Any] = {}
        size = 0
        for key, value in metrics.items():
            name = key if type(key) is str else self._name(key, "")
            size += _ENTRY_BYTES + len(name)
            if type(value) in _SCALARS:
                cleaned[name] = value
            else:
                self._key = name
                self._count(size)
                size = 0
                cleaned[name] = self.clean(value, name, 1)
        self._count(size)
        if len(cleaned) != len(metrics):
            self._refuse_equal_names("The metrics", metrics)
        if any("/" in name for name in cleaned) or self._has_slash:
            _refuse_equal_paths(cleaned)
        return cleaned

    def clean(self, value: Any, path: str, depth: int) -> Any:
        """Converts one value.

        Args:
            value: The value.
            path: Path of the value: keys and positions, joined by ``/``.
            depth: Number of containers around it.
        """
        kind = type(value)
        if kind in _SCALARS or (kind is int and -_INT64 < value < _INT64):
            return value
        if issubclass(kind, int):
            return self._integer(int.__int__(value), path)
        if kind is str or issubclass(kind, str):
            self._count(len(value))
            return value if kind is str else str.__str__(value)
        if issubclass(kind, float):
            return float.__float__(value)
        if issubclass(kind, dict):
            return self._dict(value, path, depth)
        if issubclass(kind, (list, tuple)):
            return self._sequence(value, path, depth)
        if issubclass(kind, (bytes, bytearray)):
            self._count(len(value))
            return value if kind is bytes else bytes(memoryview(value))
        if issubclass(kind, self._arrays):
            return self._array(value, path, depth)
        return self._other(value, path)

    def _dict(self, values: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        self._enter(len(values), depth, path)
        cleaned: dict[str, Any] = {}
        size = 0
        prefix_bytes = _ENTRY_BYTES + len(path)
        for key, value in dict.items(values):
            name = key if type(key) is str else self._name(key, path)
            # In a flat result the whole path is the name of the value.
            size += prefix_bytes + len(name)
            if "/" in name:
                self._has_slash = True
            if type(value) in _SCALARS:
                cleaned[name] = value
            else:
                self._count(size)
                size = 0
                cleaned[name] = self.clean(value, f"{path}/{name}", depth + 1)
        self._count(size)
        if len(cleaned) != len(values):
            self._refuse_equal_names(f"The metric {path!r}", values)
        return cleaned

    def _sequence(self, values: Any, path: str, depth: int) -> Any:
        self._enter(len(values), depth, path)
        self._count(len(values) * _ENTRY_BYTES)
        base = list if issubclass(type(values), list) else tuple
        items = base.__iter__(values)
        if _SCALARS.issuperset(map(type, base.__iter__(values))):
            return base(items)
        return base(
            self.clean(value, f"{path}/{index}", depth + 1) for index, value in enumerate(items)
        )

    def _array(self, value: Any, path: str, depth: int) -> Any:
        if value.ndim == 0:
            return self.clean(value.item(), path, depth)
        if value.dtype.hasobject:
            return self._object(value, path)
        if self._object_as is _as_text:
            return self._object(value, path)
        self._count(value.nbytes)
        return self._as_array(value)

    def _other(self, value: Any, path: str) -> Any:
        """Converts a number of another library; any other value is an object."""
        kind = type(value)
        self._refuse_torch(kind, f"The metric {path!r}")
        try:
            if issubclass(kind, self._generics):
                number = value.item()
                number = float(value) if type(number) is kind else number
            elif issubclass(kind, numbers.Integral):
                number = int(value)
            elif issubclass(kind, numbers.Number):
                number = float(value)
            elif getattr(value, "ndim", None) == 0:  # A tensor library's number.
                number = value.item()
            else:
                return self._object(value, path)
        except Exception:  # A complex or too large number.
            return self._object(value, path)
        if type(number) is int:
            return self._integer(number, path)
        return number if type(number) in _SCALARS else self._object(value, path)

    def _object(self, value: Any, path: str) -> Any:
        plain = value if type(value) is PickledObject else self._object_as(value, path)
        if type(plain) is PickledObject:
            self._count(len(plain.data) + len(plain.text))
        elif type(plain) is str:
            self._count(len(plain))
        return plain

    def _integer(self, value: int, path: str) -> int:
        if -_INT64 < value < _INT64:
            return value
        bits = value.bit_length()
        if bits > MAX_INTEGER_BITS:
            raise ValueError(
                f"An integer in a result must be below 2**{MAX_INTEGER_BITS}, as floating-point "
                f"numbers are (307 digits), but the metric {path!r} has about "
                f"{int(bits / math.log2(10)) + 1} digits. Report its logarithm, or a text."
            )
        self._count(bits // 8)
        return value

    # -- keys -----------------------------------------------------------------------------------

    def _name(self, key: Any, path: str) -> str:
        """Returns a key as text, as JSON writes it."""
        kind = type(key)
        if kind is str:
            return str(key)
        where = f"A key of the metric {path!r}" if path else "A key of the metrics"
        self._refuse_torch(kind, where)
        if issubclass(kind, str):
            return str.__str__(key)
        if key is None or kind is bool:
            return {None: "null", True: "true", False: "false"}[key]
        if issubclass(kind, int):
            return str(self._integer(int.__int__(key), where))
        if issubclass(kind, float):
            return repr(float.__float__(key))
        text = text_of(key)
        self._count(len(text))
        return text

    def _refuse_equal_names(self, subject: str, values: Mapping[Any, Any]) -> None:
        names: set[str] = set()
        for key in values:
            name = self._name(key, "")
            if name in names:
                raise ValueError(
                    f"{subject} must not have two keys with the same text, because keys become "
                    f"text, but two keys become {name!r}. Use keys with different texts."
                )
            names.add(name)

    # -- limits ---------------------------------------------------------------------------------

    def _enter(self, length: int, depth: int, path: str) -> None:
        """Counts a container of this length, and checks the depth and the number of entries."""
        if depth >= MAX_RESULT_DEPTH:
            raise ValueError(
                f"Dicts, lists and tuples in a result may be nested {MAX_RESULT_DEPTH} levels "
                f"deep, but those in {self._key!r} are deeper, or contain themselves. {_REMEDY}"
            )
        self._entries += length
        if self._entries > MAX_RESULT_ENTRIES:
            raise ValueError(
                f"A result may hold at most {MAX_RESULT_ENTRIES:,} entries (keys of dicts, items "
                f"of lists and tuples), but this one holds {self._entries:,} or more, the last "
                f"{length:,} of them in {path!r}. Report many numbers as one array of NumPy. "
                f"{_REMEDY}"
            )

    def _count(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if size_bytes >= _SHORT:
            self._bytes_of[self._key] = self._bytes_of.get(self._key, 0) + size_bytes
        if self._bytes > MAX_RESULT_BYTES:
            key = max(self._bytes_of, key=self._bytes_of.__getitem__, default=self._key)
            raise ValueError(
                f"A result may hold at most {MAX_RESULT_BYTES:,} bytes, but this one holds "
                f"{self._bytes:,} or more, {self._bytes_of.get(key, 0):,} of them in {key!r}. "
                f"{_REMEDY}"
            )

    def _refuse_torch(self, kind: type, subject: str) -> None:
        if issubclass(kind, self._tensors):
            raise ValueError(
                f"{subject} is a torch.Tensor, which would tie the result to PyTorch and to a "
                "device. Report a number, value.item(), or a list, value.tolist()."
            )
        if issubclass(kind, self._modules):
            raise ValueError(
                f"{subject} is a torch.nn.Module. Save its state_dict() to a file in a checkpoint, "
                "and report numbers."
            )


# Returns the replacement of an object in a result, given the object and its path.
_ObjectAs: TypeAlias = Callable[[Any, str], Any]


def _as_is(value: Any, path: str) -> Any:
    return value


def _as_text(value: Any, path: str) -> str:
    return text_of(value)


def _as_pickle(value: Any, path: str) -> PickledObject:
    from localtune.utils.serialization import dumps_by_value

    name = type(value).__qualname__
    try:
        data = dumps_by_value(value)
    except Exception as error:
        raise TypeError(
            f"The metric {path!r} of type {name} cannot be pickled ({text_of(error)}). "
            "Report numbers, strings, lists and dicts; write objects to a checkpoint."
        ) from error
    return PickledObject(name, text_of(value), data)


def _types(module: Any, name: str) -> tuple[type, ...]:
    kind = getattr(module, name, None)
    return (kind,) if isinstance(kind, type) else ()


# -- keys that localtune reads --------------------------------------------------------------------


def _read_flag(value: Any) -> bool:
    if value is True or value is False:
        return value
    if type(value) in (bool, int, float, type(None)):
        return bool(value)
    raise ValueError


def _read_count(value: Any) -> int:
    if type(value) in (int, float) and value == (whole := int(value)) and 0 <= whole <= _MAX_COUNT:
        return whole
    raise ValueError


def _read_number(value: Any) -> float:
    if type(value) in (int, float) and -_MAX_COUNT <= value <= _MAX_COUNT:
        return float(value) if type(value) is float else value
    raise ValueError


# {key: (function that converts the value, rule for the error message)}
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    DONE: (_read_flag, "True or False"),
    SHOULD_CHECKPOINT: (_read_flag, "True or False"),
    TRAINING_ITERATION: (_read_count, "a whole number from 0 to 2**53"),
    **dict.fromkeys(
        (
            TIMESTEPS_THIS_ITER,
            TIMESTEPS_TOTAL,
            EPISODES_THIS_ITER,
            EPISODES_TOTAL,
            TIME_THIS_ITER_S,
            TIME_TOTAL_S,
            TIMESTAMP,
        ),
        (_read_number, "a number of at most 2**53"),
    ),
}


def _with_readable_keys(result: dict[str, Any]) -> dict[str, Any]:
    """Converts the entries that localtune itself reads to the types that it expects."""
    for key, (read, rule) in _READERS.items():
        if key not in result:
            continue
        value = result[key]
        if value is None:
            if key == TRAINING_ITERATION:
                del result[key]  # None counts as missing.
            continue
        try:
            result[key] = read(value)
        except (ValueError, OverflowError):
            text = repr(value) if type(value) is str else one_line(value)
            shown = shorten(text, _SHOWN_CHARACTERS)
            is_closed = type(value) is PickledObject
            kind = value.type_name if is_closed else type(value).__name__
            raise ValueError(
                f"The metric {key!r} must be {rule}, because localtune reads it, but is "
                f"{shown} of type {kind}. Report another value under that name, "
                "or this one under another name."
            ) from None
    return result


def _refuse_equal_paths(result: dict[str, Any]) -> None:
    """Raises ValueError if two values have the same name in a flat result."""
    names: set[str] = set()
    waiting = [("", result)]
    while waiting:
        prefix, values = waiting.pop()
        for key, value in values.items():
            name = prefix + key
            if type(value) is dict and value:
                waiting.append((f"{name}/", value))
            elif name in names:
                raise ValueError(
                    f"Two metrics must not have the same flat name, but two have {name!r}: one key "
                    "contains a slash, and the other one is in a nested dict. Rename one of them."
                )
            else:
                names.add(name)
