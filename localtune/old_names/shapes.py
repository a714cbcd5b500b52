"""Old shapes of trainables, found in their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from localtune.old_names.rows.trainables import WITH_DIRECTORY, WITH_REPORTER
from localtune.old_names.scopes import arguments_of, own_nodes


def old_shapes(
    function: ast.FunctionDef | ast.AsyncFunctionDef, bound: set[str | None]
) -> Iterator[str]:
    """Yields the old forms of the signature of a trainable.

    Args:
        function: The function.
        bound: Names of arguments that have values already.
    """
    names = [each.arg for each in arguments_of(function)]
    for name, shape in (("reporter", WITH_REPORTER), ("checkpoint_dir", WITH_DIRECTORY)):
        if name in names[1:] and name not in bound:
            default = _default_of(function, name)
            # An argument with a value is the user's own.
            if default is None or (isinstance(default, ast.Constant) and not default.value):
                yield shape


def _default_of(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> ast.expr | None:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    pairs = [
        *zip(positional[::-1], args.defaults[::-1], strict=False),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]
    return next((default for each, default in pairs if each.arg == name), None)


def returned_path(method: ast.FunctionDef) -> ast.AST | None:
    """Returns the statement in which ``save_checkpoint`` returns a path within its directory.

    Args:
        method: The method.
    """
    arguments = [each.arg for each in arguments_of(method)]
    if len(arguments) < 2:
        return None
    directory = arguments[1]
    paths: set[str] = set()
    others: set[str] = set()
    nodes = list(own_nodes(method))
    for node in nodes:
        if isinstance(node, ast.Assign):
            names = {each.id for each in node.targets if isinstance(each, ast.Name)}
            (paths if _is_below(node.value, directory, paths) else others).update(names)
    paths -= others
    for node in nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            is_path = isinstance(node.value, ast.Name) and node.value.id in paths
            if is_path or _is_below(node.value, directory, paths):
                return node
    return None


def _is_below(node: ast.expr, directory: str, paths: set[str]) -> bool:
    """Tells whether an expression joins the directory, or a path in it, to something."""
    if isinstance(node, ast.Call):
        name = _called(node)
        if name in ("str", "fspath") and node.args:
            inner = node.args[0]
            is_known = isinstance(inner, ast.Name) and inner.id in paths
            return is_known or _is_below(inner, directory, paths)
        return name == "join" and len(node.args) > 1 and _is_path(node.args[0], directory, paths)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
        left = node.left
        if isinstance(left, ast.Call) and _called(left) == "Path" and left.args:
            left = left.args[0]
        return _is_path(left, directory, paths)
    if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
        first = node.values[0]
        return isinstance(first, ast.FormattedValue) and _is_path(first.value, directory, paths)
    return False


def _called(call: ast.Call) -> str:
    """Returns the last name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_path(node: ast.expr, directory: str, paths: set[str]) -> bool:
    return isinstance(node, ast.Name) and (node.id == directory or node.id in paths)
