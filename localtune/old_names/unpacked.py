"""Arguments that a call gets from a dictionary: ``options = dict(a=1)``, then ``f(**options)``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from localtune.old_names.scopes import Scope, own_nodes

# The names that were looked up already, with their scopes.
_Seen: TypeAlias = set[tuple[int, str]]


def unpacked_arguments(call: ast.Call, scope: Scope) -> Iterator[tuple[str, ast.AST]]:
    """Yields the arguments that a call gets from dictionaries whose entries are in the code.

    Args:
        call: The call.
        scope: Where it stands.

    Returns:
        Name of each argument, and where it is given: a keyword of ``dict()``, a key of ``{}``, or
        the target ``options["a"]`` of an assignment.
    """
    seen: _Seen = set()
    for each in call.keywords:
        if each.arg is None:
            yield from _entries(each.value, scope, seen)


def _entries(node: ast.expr, scope: Scope, seen: _Seen) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Name):
        yield from _entries_of_name(node.id, scope, seen)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield from _entries(value, scope, seen)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, key
    elif isinstance(node, ast.Call) and _is_dict(node.func, scope):
        yield from _entries_of_call(node, scope, seen)
    elif isinstance(node, ast.IfExp):
        yield from _entries(node.body, scope, seen)
        yield from _entries(node.orelse, scope, seen)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _entries(node.left, scope, seen)
        yield from _entries(node.right, scope, seen)


def _entries_of_call(call: ast.Call, scope: Scope, seen: _Seen) -> Iterator[tuple[str, ast.AST]]:
    """Yields the entries of ``dict(...)``, or those that ``update(...)`` adds."""
    for each in call.args[:1]:
        yield from _entries(each, scope, seen)
    for keyword in call.keywords:
        if keyword.arg is None:
            yield from _entries(keyword.value, scope, seen)
        else:
            yield keyword.arg, keyword


def _is_dict(node: ast.expr, scope: Scope) -> bool:
    return isinstance(node, ast.Name) and node.id == "dict" and scope.binder("dict") is None


def _entries_of_name(name: str, scope: Scope, seen: _Seen) -> Iterator[tuple[str, ast.AST]]:
    """Yields what the scope that binds a name puts into it."""
    binder = scope.binder(name)
    # `options = {**options, "a": 1}` refers to itself.
    if binder is None or (id(binder), name) in seen:
        return
    seen.add((id(binder), name))
    for node in own_nodes(binder.node):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if _is_name(target, name) and node.value is not None:
                    yield from _entries(node.value, binder, seen)
                elif isinstance(target, ast.Subscript) and _is_name(target.value, name):
                    key = target.slice
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.value, target
        elif isinstance(node, ast.Call) and _is_update(node.func, name):
            yield from _entries_of_call(node, binder, seen)


def _is_update(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "update" and _is_name(node.value, name)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
