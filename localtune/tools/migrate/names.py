"""Changes of names: of functions, classes, methods and attributes."""

from __future__ import annotations

import ast
from collections.abc import Callable

from localtune.tools.migrate.script import Change, Target
from localtune.tools.migrate.source import Edit

Rewriter = Callable[[Target], Change | None]


def by(template: str) -> Rewriter:
    """Makes a rewriter that puts a text in the place of a name.

    Args:
        template: The text; ``{tune}`` is the name of the module localtune.
    """

    def rewrite(target: Target) -> Change | None:
        script, use = target
        node = use.node
        if not isinstance(node, ast.expr) or not script.source.is_in_place(node):
            return None
        known = script.tune_at(node)
        if known is None:
            return None
        name, change = known
        span = script.source.span(node)
        return change.with_also(Change([Edit(span.start, span.end, template.format(tune=name))]))

    return rewrite


def call_by(template: str) -> Rewriter:
    """Makes a rewriter that puts a text in the place of a name and its call.

    Args:
        template: As of :func:`by`; ``{first}`` is the first argument of the call, and ``{self}``
            the object whose method it is.
    """

    def rewrite(target: Target) -> Change | None:
        script, use = target
        call = script.parent(use.node)
        if not isinstance(call, ast.Call) or call.func is not use.node:
            return None
        if ("{first}" in template and not call.args) or not script.source.is_in_place(call):
            return None
        known = script.tune_at(call)
        if known is None:
            return None
        name, change = known
        first = script.text_of(call.args[0]) if call.args else ""
        span = script.source.span(call)
        of = call.func.value if isinstance(call.func, ast.Attribute) else None
        owner = script.text_of(of) if of is not None else ""
        text = template.format(tune=name, first=first, self=owner)
        return change.with_also(Change([Edit(span.start, span.end, text)]))

    return rewrite


def attribute(name: str) -> Rewriter:
    """Makes a rewriter that gives an attribute another name.

    Args:
        name: Its new name.
    """

    def rewrite(target: Target) -> Change | None:
        script, use = target
        node = use.node
        if not isinstance(node, ast.Attribute) or not script.source.is_in_place(node):
            return None
        end = script.source.span(node).end
        return Change([Edit(end - len(node.attr), end, name)])

    return rewrite


def method(name: str) -> Rewriter:
    """Makes a rewriter that gives a method of a class, and its calls, another name.

    Args:
        name: Its new name.
    """

    def rewrite(target: Target) -> Change | None:
        script, use = target
        node, around = use.node, script.parent(use.node)
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        assert isinstance(around, ast.ClassDef)
        if any(isinstance(each, ast.FunctionDef) and each.name == name for each in around.body):
            return None
        start = script.source.span(node).start
        token = next(
            each
            for each in script.source.tokens
            if each.start >= start and each.string == node.name
        )
        edits = [Edit(token.start, token.end, name)]
        for each in ast.walk(around):
            if isinstance(each, ast.Attribute) and each.attr == node.name and _is_own(each):
                if not script.source.is_in_place(each):
                    return None
                end = script.source.span(each).end
                edits.append(Edit(end - len(node.name), end, name))
        return Change(edits)

    return rewrite


def _is_own(node: ast.Attribute) -> bool:
    """Whether it is ``self.NAME`` or ``super().NAME``."""
    base = node.value.func if isinstance(node.value, ast.Call) else node.value
    return isinstance(base, ast.Name) and base.id in ("self", "super")


def without_call(target: Target) -> Change | None:
    """Removes the statement that calls a name and does nothing else."""
    script, use = target
    call = script.parent(use.node)
    statement = script.parent(call)
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call):
        return script.without(statement)
    return None
