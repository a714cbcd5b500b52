"""What calls of ``report`` pass, and which code chooses between the forms of several releases."""

from __future__ import annotations

import ast

from localtune.old_names.arguments import OF_REPORT, is_report_of_keywords
from localtune.old_names.scopes import Scope

# What code catches if it tries the form of another release.
_OF_OTHER_RELEASES = {
    "AttributeError",
    "DeprecationWarning",
    "ImportError",
    "ModuleNotFoundError",
    "OldNameError",
    "TypeError",
}
# What code asks to find out which release it has.
_QUESTIONS = {"hasattr", "signature", "find_spec"}
# Operators that no dict and no Counter has, if no operand is a number.
_OF_NUMBERS = (ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.Mod)


def reports_keywords(call: ast.Call, scope: Scope) -> bool:
    """Tells whether a call of ``report`` passes metrics as keyword arguments.

    Args:
        call: The call.
        scope: Where it stands.
    """
    if is_report_of_keywords({each.arg for each in call.keywords if each.arg is not None}):
        return True
    unpacked = [each.value for each in call.keywords if each.arg is None]
    # `report(metrics, **options)` has its metrics.
    has_metrics = bool(call.args) or any(each.arg == "metrics" for each in call.keywords)
    return not has_metrics and any(not _has_arguments(each, scope) for each in unpacked)


def _has_arguments(node: ast.expr, scope: Scope) -> bool:
    """Tells whether a dict is known to have nothing but arguments of today's ``report``."""
    if isinstance(node, ast.Name):
        binder = scope.binder(node.id)
        value = binder.only_value(node.id) if binder is not None else None
        return (
            value is not None and not isinstance(value, ast.Name) and _has_arguments(value, scope)
        )
    if isinstance(node, ast.Dict):
        keys = {each.value if isinstance(each, ast.Constant) else None for each in node.keys}
        return bool(keys) and keys <= OF_REPORT
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        names = {each.arg for each in node.keywords}
        return bool(names) and not node.args and names <= OF_REPORT
    return False


def is_number(node: ast.expr, scope: Scope) -> bool:
    """Tells whether an expression can be nothing but a number.

    Args:
        node: The expression.
        scope: Where it stands.
    """
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand, scope)
    if isinstance(node, ast.BinOp):
        operands = (node.left, node.right)
        return isinstance(node.op, _OF_NUMBERS) or any(is_number(each, scope) for each in operands)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id in ("float", "int") and scope.meaning(node.func) is None)
    )


def alternatives(tree: ast.AST) -> set[int]:
    """Returns the ids of the nodes of code that is there for one of several releases.

    It stands in a ``try`` statement that catches what another release raises, or in an ``if``
    statement that asks for a name or a version. If it runs, its old names are refused then.

    Args:
        tree: The program, or a part of it.
    """
    found: set[int] = set()
    for node in ast.walk(tree):
        branches: list[ast.stmt] | list[ast.expr] = []
        if isinstance(node, ast.Try) and any(map(_is_of_other_release, node.handlers)):
            branches = [*node.body, *(part for each in node.handlers for part in each.body)]
        elif isinstance(node, ast.If) and _asks_for_release(node.test):
            branches = [*node.body, *node.orelse]
        elif isinstance(node, ast.IfExp) and _asks_for_release(node.test):
            branches = [node.body, node.orelse]
        found.update(id(each) for branch in branches for each in ast.walk(branch))
    return found


def _is_of_other_release(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and bool(_words(handler.type) & _OF_OTHER_RELEASES)


def _asks_for_release(test: ast.expr) -> bool:
    words = _words(test)
    return bool(words & _QUESTIONS) or any("version" in each.lower() for each in words)


def _words(node: ast.AST) -> set[str]:
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
