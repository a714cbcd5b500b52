"""Changes of ``loggers=``: classes of loggers become callbacks, and the default ones go."""

from __future__ import annotations

import ast

from localtune.tools.migrate.arguments import removed
from localtune.tools.migrate.edits import replaced
from localtune.tools.migrate.script import Change, Target

# A run has these anyway.
_DEFAULT = {"CSVLogger", "JsonLogger", "TBXLogger", "UnifiedLogger"}
# They have callbacks of their own, with other arguments.
_OF_SERVICES = {"MLFlowLogger", "WandbLogger"}


def as_callbacks(target: Target) -> Change | None:
    """``loggers=DEFAULT_LOGGERS + (Own,)`` becomes ``callbacks=[LegacyLoggerCallback([Own])]``."""
    script, use = target
    call = script.parent(use.node)
    assert isinstance(use.node, ast.keyword) and isinstance(call, ast.Call)
    classes = _classes_of(use.node.value)
    if classes is None or any(_name_of(each) in _OF_SERVICES for each in classes):
        return None
    own = [each for each in classes if _name_of(each) not in _DEFAULT]
    if not own:
        return removed(target)
    known = script.tune_at(call)
    if known is None or any(each.arg == "callbacks" for each in call.keywords):
        return None
    names = ", ".join(script.text_of(each) for each in own)
    text = f"callbacks=[{known[0]}.logger.LegacyLoggerCallback([{names}])]"
    return Change(replaced(script.source, use.node, text)).with_also(known[1])


def _classes_of(node: ast.expr) -> list[ast.expr] | None:
    """The classes in a list, a tuple, or a sum of them; None if they do not stand there."""
    if _name_of(node) == "DEFAULT_LOGGERS":
        return []
    if isinstance(node, ast.Constant) and node.value is None:
        return []
    if isinstance(node, (ast.List, ast.Tuple)):
        return node.elts if all(map(_name_of, node.elts)) else None
    if isinstance(node, ast.Call) and _name_of(node.func) in ("list", "tuple") and node.args:
        return _classes_of(node.args[0])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _classes_of(node.left), _classes_of(node.right)
        return None if left is None or right is None else [*left, *right]
    return None


def _name_of(node: ast.expr) -> str:
    """The last part of a name, "" for other expressions."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
