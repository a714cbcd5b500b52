"""Values typed as text: literals, and calls of the functions of search spaces. Nothing is run.

loguniform(1e-4, 1e-1)     a domain
[16, 32], 0.9, true        a literal of Python, or true, false and null
relu                       text, as is all else that is neither a literal nor a call
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from localtune.error import SearchSpaceError, UsageError
from localtune.search import sample
from localtune.utils.numeric import is_real
from localtune.utils.text import did_you_mean, shorten

# A function of Python has no place in a text.
_NEEDS_PYTHON = "sample_from"
DOMAINS: dict[str, Callable[..., Any]] = {
    name: getattr(sample, name)
    for name in sample.__all__
    if name[0].islower() and name != _NEEDS_PYTHON
}

_CALL = re.compile(r"\s*[A-Za-z_][\w.]*\s*\(")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
# Columns of a broken text that an error shows.
_MAX_SHOWN = 80
# The names under which scripts know the package: `tune.uniform(0, 1)` may be pasted.
_PACKAGES = frozenset({"tune", "localtune"})


def value_of(text: str) -> Any:
    """Evaluates a text: a literal, a call of a search space's function, or plain text.

    Raises:
        UsageError: for a call that cannot be made. The message suggests a function.

    Example:
        >>> value_of("uniform(0, 1)"), value_of("[1, 2]"), value_of("relu"), value_of("true")
        (Float(0.0, 1.0).Uniform(), [1, 2], 'relu', True)
    """
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if _CALL.match(text):
        return _value(_parsed(text), text)
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    if isinstance(tree, (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp)):
        return _value(tree, text)
    return text


def with_calls(value: Any) -> Any:
    """A value of a sweep file with its calls made: texts such as ``"uniform(0, 1)"``.

    Other texts stay as they are: a file has types of its own.

    Raises:
        UsageError: for a call that cannot be made.
    """
    if isinstance(value, dict):
        return {key: with_calls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_calls(item) for item in value]
    if isinstance(value, str) and _CALL.match(value):
        return value_of(value)
    return value


def named_call(text: str) -> tuple[str, dict[str, Any]]:
    """A name, maybe with arguments by name: ``asha`` or ``asha(max_t=100)``.

    Returns:
        The name, and {argument: value}.

    Raises:
        UsageError: for another text.
    """
    if not _CALL.match(text):
        return text.strip(), {}
    tree = _parsed(text)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        raise UsageError(
            f"{text!r} must be a name, or a name with arguments by name, such as 'asha(max_t=100)' "
            "or \"dask(cluster='tcp://host:8786')\"."
        )
    return tree.func.id, {each.arg or "**": _value(each.value, text) for each in tree.keywords}


def key_and_value(text: str, example: str) -> tuple[str, str]:
    """Splits ``key=value``.

    Args:
        text: The text.
        example: A correct text, for the error.

    Raises:
        UsageError: if there is no key.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"must be KEY=VALUE, such as {example!r}, but got {text!r}.")
    return key.strip(), value.strip()


def unknown_text(name: str, known: Mapping[str, Any] | list[str], what: str) -> str:
    """Describes a name that is not known; suggests the nearest one.

    Args:
        name: The name.
        known: All names.
        what: What the name is meant to name, such as "function".
    """
    hint = did_you_mean(name, known)
    return f"There is no {what} {name!r}.{hint} There are: {', '.join(sorted(known))}."


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _unreadable(text, error.msg) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text, error) from None


def _unreadable(text: str, reason: object) -> UsageError:
    return UsageError(f"{shorten(text, _MAX_SHOWN)!r} cannot be read: {reason}.")


def _value(tree: ast.expr, text: str) -> Any:
    try:
        return _evaluate(tree, text)
    except RecursionError:
        raise _unreadable(text, "it is nested too deeply") from None
    except TypeError as error:  # A list as a key, for instance.
        raise _unreadable(text, error) from None


def _evaluate(tree: ast.expr, text: str) -> Any:
    if isinstance(tree, ast.Constant):
        return tree.value
    if isinstance(tree, (ast.List, ast.Tuple, ast.Set)):
        kinds = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
        return kinds[type(tree)](_evaluate(each, text) for each in tree.elts)
    if isinstance(tree, ast.Dict) and None not in tree.keys:
        keys = [_evaluate(key, text) for key in tree.keys if key is not None]
        return dict(zip(keys, (_evaluate(each, text) for each in tree.values), strict=True))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        value = _evaluate(tree.operand, text)
        if is_real(value):
            return -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.Call):
        return _call(tree, text)
    part = ast.unparse(tree)
    if isinstance(tree, ast.Name):
        if part in _WORDS:
            return _WORDS[part]
        raise UsageError(f"{text!r} has the name {part!r}: a text needs quotes, as '{part}'.")
    raise UsageError(
        f"{text!r} has {part!r}, which is neither a literal nor a call of a search space."
    )


def _call(tree: ast.Call, text: str) -> Any:
    function = DOMAINS.get(_name_of(tree.func, text))
    assert function is not None  # _name_of has refused all else
    arguments = [_evaluate(each, text) for each in tree.args]
    keywords = {each.arg or "**": _evaluate(each.value, text) for each in tree.keywords}
    try:
        return function(*arguments, **keywords)
    except (TypeError, SearchSpaceError) as error:
        raise UsageError(f"{ast.unparse(tree)!r} makes no search space: {error}") from None


def _name_of(function: ast.expr, text: str) -> str:
    name = ast.unparse(function)
    package, _, last = name.rpartition(".")
    if package in _PACKAGES:
        name = last
    if name == _NEEDS_PYTHON:
        raise UsageError(
            f"{text!r} needs a function of Python: write the search space in a script."
        )
    if name not in DOMAINS:
        raise UsageError(unknown_text(name, DOMAINS, "function of search spaces"))
    return name
