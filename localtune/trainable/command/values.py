"""The values of a configuration as a program gets them: as text, by name, as variables."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from localtune.utils.text import shorten

# Between the names of a nested parameter.
SEPARATOR = "/"
VARIABLE_PREFIX = "LOCALTUNE_PARAM_"
_Path: TypeAlias = "tuple[Any, ...]"
_NOT_IN_VARIABLES = re.compile(r"[^A-Za-z0-9_]")
_SHOWN_CHARACTERS = 80


def flat_values(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns {name: value} of all parameters, the dicts among them included.

    Args:
        config: The configuration, nested.

    Raises:
        ValueError: if two parameters have the same name.
    """
    found: dict[str, Any] = {}
    for path, value in _walk(config, ()):
        name = name_of(path)
        if name in found:
            raise ValueError(
                f"Two parameters have the same name {name!r}, one of them nested. Rename one."
            )
        found[name] = value
    return found


def leaves(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of :func:`flat_values` that hold no other ones."""
    return {name: value for name, value in values.items() if not _holds_others(value)}


def name_of(path: Iterable[Any]) -> str:
    """Returns the name of a nested parameter."""
    return SEPARATOR.join(map(str, path))


def text_of_value(name: str, value: Any) -> str:
    """Returns a value as a program gets it.

    Texts stay as they are, and other simple values are written as Python's ``str()`` writes them.
    Dicts, lists and tuples are written as JSON.

    Args:
        name: Name of the parameter, for an error.
        value: The value.

    Raises:
        ValueError: for a value without such a text.
    """
    value = _plain(value)
    if isinstance(value, str) or value is None or isinstance(value, (bool, int, float)):
        text = str(value)
    elif isinstance(value, (dict, list, tuple)):
        text = _json_of(name, value)
    else:
        raise _unusable(name, value)
    if "\0" in text:
        raise ValueError(
            f"The parameter {name!r} contains the character NUL, which no argument of a program "
            "can contain."
        )
    return text


def variables_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Returns {environment variable: text} of the innermost parameters.

    Args:
        values: Of :func:`flat_values`.

    Raises:
        ValueError: if two parameters have the same variable, or for a value without a text.
    """
    innermost = leaves(values)
    check_variables(innermost)
    return {variable_of(name): text_of_value(name, value) for name, value in innermost.items()}


def variable_of(name: str) -> str:
    """Returns the environment variable of a parameter: ``LOCALTUNE_PARAM_MODEL__LR``.

    Args:
        name: Name of the parameter; the parts of a nested name are joined with ``/``.
    """
    parts = name.split(SEPARATOR)
    return VARIABLE_PREFIX + "__".join(_NOT_IN_VARIABLES.sub("_", part) for part in parts).upper()


def check_variables(names: Iterable[str]) -> None:
    """Checks that each parameter has an environment variable of its own.

    Raises:
        ValueError: if two have the same one.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(variable_of(name), name)
        if other != name:
            raise ValueError(
                f"The parameters {other!r} and {name!r} would have the same environment variable "
                f"{variable_of(name)}: letters become capitals there, and other characters '_'. "
                "Rename one."
            )


def _walk(
    config: Mapping[Any, Any], path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for key, value in config.items():
        yield (*path, key), value
        if _holds_others(value):
            yield from _walk(value, (*path, key))


def _holds_others(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _plain(value: Any) -> Any:
    """Returns a number or an array of NumPy as an object of Python."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return value.tolist()
    return value


def _json_of(name: str, value: Any) -> str:
    def refuse(part: Any) -> Any:
        plain = _plain(part)
        if plain is part:
            raise _unusable(name, part)
        return plain

    try:
        return json.dumps(value, default=refuse, ensure_ascii=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"The parameter {name!r} cannot be written as JSON: {error}.") from None


def _unusable(name: str, value: Any) -> ValueError:
    return ValueError(
        f"The parameter {name!r} cannot be passed to a program: it holds a "
        f"{type(value).__qualname__}, {shorten(repr(value), _SHOWN_CHARACTERS)}. Use texts, "
        "numbers, True, False, None, and lists and dicts of these."
    )


def number_of(text: str) -> Any:
    """Returns the number that a text stands for, the text itself if it is no number.

    Args:
        text: For example ``"1e-3"``.
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
