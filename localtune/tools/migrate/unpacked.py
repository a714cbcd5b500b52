"""Changes of arguments that stand in a dictionary: ``options = dict(a=1)``, ``f(**options)``."""

from __future__ import annotations

import ast

from localtune.old_names.scopes import public_name
from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate import entries
from localtune.tools.migrate.names import Rewriter
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit, Span

# Owners whose arguments have the names of `entries.TODAY`.
_RUNS = ("tune.run", "RunConfig", "Experiment")


def is_unpacked(script: Script, node: ast.AST) -> bool:
    """Returns whether an argument is not written in its call.

    Args:
        script: The script.
        node: Where the argument is given.
    """
    call = script.parent(node)
    is_own = isinstance(node, ast.keyword) and isinstance(call, ast.Call)
    return not (is_own and isinstance(call, ast.Call) and script.origin(call.func) is not None)


def rewritten(target: Target, rewriter: Rewriter | None, *, is_dropped: bool) -> Change | None:
    """Changes an argument in a literal dictionary that serves nothing but calls of one function.

    Args:
        target: The argument.
        rewriter: What changes it in a call.
        is_dropped: Whether the argument just goes.
    """
    script, use = target
    row = OLD_NAMES[use.name]
    new = entries.TODAY.get(row.member) if row.owner in _RUNS else None
    calls = _calls_with(script, script.parent(use.node))
    if calls is None or not (new or is_dropped):
        return None
    if any(each.arg == new for call in calls for each in call.keywords if each.arg):
        return None
    if isinstance(use.node, ast.keyword):
        return rewriter(target) if rewriter else None
    return _without_entry(target) if is_dropped else entries.renamed(target)


def _calls_with(script: Script, options: ast.AST | None) -> list[ast.Call] | None:
    """The calls that unpack a literal dictionary; None if it has other uses."""
    if not isinstance(options, (ast.Dict, ast.Call)):
        return None
    around = script.parent(options)
    if isinstance(around, ast.keyword):
        unpacked: list[ast.AST | None] = [around]
    elif isinstance(around, ast.Assign) and isinstance(name := around.targets[0], ast.Name):
        scope = script.scope_at(around)
        if len(around.targets) != 1 or scope.only_value(name.id) is not options:
            return None
        unpacked = [script.parent(each) for each in script.reads(name.id, scope)]
    else:
        return None
    calls = []
    for each in unpacked:
        call = script.parent(each)
        if not isinstance(each, ast.keyword) or each.arg or not isinstance(call, ast.Call):
            return None
        calls.append(call)
    names = {public_name(str(script.origin(each.func))) for each in calls}
    return calls if len(names) == 1 and None not in names else None


def _without_entry(target: Target) -> Change | None:
    """Removes an entry, with its comma, and its line if it stands alone in it."""
    script, use = target
    source, options = script.source, script.parent(use.node)
    assert isinstance(options, ast.Dict)
    place = next(number for number, each in enumerate(options.keys) if each is use.node)
    start, end = source.span(use.node).start, source.span(options.values[place]).end
    comma = source.comma_after(Span(start, end))
    if comma is None and source.text[end : source.span(options).end].strip() != "}":
        return None
    lock = frozenset({f"entries {source.span(options)}"})
    end = comma or end
    if source.begins_line(start) and source.ends_line(end):
        return Change([Edit(source.line_start(start), source.line_end(end), "")], lock)
    while end < len(source.text) and source.text[end] == " ":
        end += 1
    if place and place + 1 == len(options.keys):
        start = source.span(options.values[place - 1]).end
        if "#" in source.text[start : source.span(use.node).start]:
            return None
    return Change([Edit(start, end, "")], lock)
