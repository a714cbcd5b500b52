"""Sweep files: TOML or YAML with a trainable, a search space, and how to run it.

    trainable = "train.py:train"
    metric = "loss"
    mode = "min"
    samples = 20

    [param_space]
    lr = "loguniform(1e-4, 1e-1)"

Keys are the options of ``localtune run`` with ``_`` for ``-``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localtune.error import ExtraMissingError, UsageError
from localtune.utils.text import did_you_mean
from localtune.utils.toml import parse_toml

SUFFIXES = (".toml", ".yaml", ".yml")

# YAML 1.1, which PyYAML reads, takes 1e-4 for a text.
_FLOAT = re.compile(r"[-+]?(\d[\d_]*)?\.?\d[\d_]*([eE][-+]?\d+)?$")
_KEY_IN_LINE = re.compile(r"""\s*(?:-\s+)?["']?([\w./-]+)["']?\s*[=:]""")
_TABLE_IN_LINE = re.compile(r"""\s*\[+\s*["']?([\w./-]+)""")


@dataclass
class SweepFile:
    """The content of a sweep file.

    Attributes:
        path: Absolute path of the file.
        values: {key: value} at its top.
        text: Its text.
    """

    path: str
    values: dict[str, Any]
    text: str

    @property
    def directory(self) -> str:
        """Directory that paths in the file start from."""
        return os.path.dirname(self.path)

    def problem(self, key: str, text: str) -> UsageError:
        """Makes the error for a key; the error names the line.

        Args:
            key: The key; keys of keys are joined by ``/``.
            text: The problem.
        """
        # Keys of an inline table stand in the line of the table.
        line = line_of(self.text, key) or line_of(self.text, key.partition("/")[0])
        where = f", line {line}" if line else ""
        return UsageError(f"{self.path}{where}, key {key!r}: {text}")

    def check_keys(self, known: Mapping[str, Any]) -> None:
        """Raises UsageError for an unknown key."""
        for key in self.values:
            if key not in known:
                hint = did_you_mean(key, known)
                raise self.problem(
                    key, f"there is no such setting.{hint} There are: {', '.join(known)}."
                )


def read_sweep_file(path: str) -> SweepFile:
    """Reads a sweep file.

    Args:
        path: Ends in ``.toml``, ``.yaml`` or ``.yml``.

    Raises:
        UsageError: if there is none, or it is broken; names the line and the key.
        ExtraMissingError: without the package that reads it.
    """
    path = os.path.abspath(os.path.expanduser(path))
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"The sweep file {path!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"The sweep file {path!r} is not UTF-8: {error}.") from None
    values = _read_toml(path, text) if path.endswith(".toml") else _read_yaml(path, text)
    if not isinstance(values, dict):
        raise UsageError(
            f"The sweep file {path!r} must hold 'key: value' lines, but it is a "
            f"{type(values).__name__}."
        )
    return SweepFile(path, {str(key): value for key, value in values.items()}, text)


def line_of(text: str, key: str) -> int | None:
    """Returns the line, from 1, in which a key probably stands; None if it is not found.

    Args:
        text: The file.
        key: Keys of keys are joined by ``/``.
    """
    wanted = key.split("/")
    found = 0
    for number, line in enumerate(text.splitlines(), 1):
        match = _KEY_IN_LINE.match(line) or _TABLE_IN_LINE.match(line)
        if match is None:
            continue
        # `[stop.inner]` and `stop.inner = 1` open several keys at once.
        for part in re.split(r"[./]", match[1]):
            if found < len(wanted) and part == wanted[found]:
                found += 1
        if found == len(wanted):
            return number
    return None


def _read_toml(path: str, text: str) -> Any:
    try:
        return parse_toml(text, "A TOML file with Python 3.10")
    except ValueError as error:
        match = re.search(r"line (\d+)", str(error))
        # Without a number it is the end of the file that came too early.
        line = int(match[1]) if match else max(1, len(text.splitlines()))
        raise _broken(path, text, line, str(error)) from None


def _read_yaml(path: str, text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ExtraMissingError("PyYAML", "yaml", "A YAML file") from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Numbers as in YAML 1.2, and no key twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = key_node.value if isinstance(key_node.value, str) else None
                if key is not None and key != "<<" and key in seen:
                    line = key_node.start_mark.line + 1
                    raise _broken(path, text, line, f"the key {key!r} is there twice")
                seen.add(key)
            return super().construct_mapping(node, deep=deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        reason = error.problem or str(error)
        # A bracket or a quote that is never closed is noticed later than where it stands.
        if error.context_mark is not None and error.context_mark.line + 1 < line:
            reason += f" ({error.context}, which began in line {error.context_mark.line + 1})"
        raise _broken(path, text, line, reason) from None
    except yaml.YAMLError as error:
        raise UsageError(f"The sweep file {path!r} is broken: {error}.") from None


def _broken(path: str, text: str, line: int, reason: str) -> UsageError:
    """Makes the error for a file that is no TOML or YAML; it names the line and a near key."""
    lines = text.splitlines()
    key = next(
        (
            match[1]
            for each in reversed(lines[:line])
            if (match := _KEY_IN_LINE.match(each) or _TABLE_IN_LINE.match(each))
        ),
        None,
    )
    at = f" at or after the key {key!r}" if key else ""
    return UsageError(f"{path}, line {line}{at}: {reason.rstrip('.')}.")
