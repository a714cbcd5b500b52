"""Changes of checkpoints that hold a dictionary: they become a file ``data.pkl``."""

from __future__ import annotations

import ast

from localtune.tools.migrate.edits import indented, new_line_before
from localtune.tools.migrate.reports import quoted
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit, Span

_FILE = "data.pkl"
_MODULES = ("os", "pickle", "tempfile")
_DIRECTORY = "checkpoint_directory"
_STEP = "    "


def from_dict(target: Target) -> Change | None:
    """``checkpoint = Checkpoint.from_dict(data)`` and its report stand in a ``with`` statement."""
    script, use = target
    call = script.parent(use.node)
    if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
        return None
    assert isinstance(use.node, ast.Attribute)
    first = script.statement_of(call)
    last = _report_behind(script, first, call)
    imported = _imported(script, call, _MODULES)
    if last is None or imported is None or not _stands_alone(script, first, last):
        return None
    data = script.text_of(call.args[0])
    if "\n" in data or "\r" in data:
        return _data_first(script, call, first)
    with_lines = (
        f"with tempfile.TemporaryDirectory() as {_DIRECTORY}:\n"
        f"{_STEP}with open(os.path.join({_DIRECTORY}, {quoted(script, _FILE)}), "
        f"{quoted(script, 'wb')}) as checkpoint_file:\n"
        f"{_STEP}{_STEP}pickle.dump({data}, checkpoint_file)\n"
    )
    outer = script.source.indentation(first)
    start = script.source.line_start(script.source.span(first).start)
    text = "".join(f"{outer}{line}\n" for line in with_lines.splitlines())
    span = script.source.span(call)
    made = f"{script.text_of(use.node.value)}.from_directory({_DIRECTORY})"
    edits = [
        Edit(span.start, span.end, made),
        *_around(span, indented(script.source, first, last, _STEP)),
    ]
    # One edit for the place where both begin.
    edits = [
        Edit(each.start, each.end, text + each.text) if each.start == start == each.end else each
        for each in edits
    ]
    return Change(edits).with_also(imported)


def _data_first(script: Script, call: ast.Call, statement: ast.stmt) -> Change:
    """Gives data of several lines a name before the statement."""
    argument = call.args[0]
    span = script.source.span(argument)
    line = f"checkpoint_data = {script.text_of(argument)}"
    edits = new_line_before(script.source, statement, line)
    return Change([*edits, Edit(span.start, span.end, "checkpoint_data")])


def _report_behind(script: Script, first: ast.stmt, call: ast.Call) -> ast.stmt | None:
    """The statement, in the same body, that reports the checkpoint."""
    if _reports(script, first) and isinstance(first, ast.Expr):
        return first
    if not isinstance(first, ast.Assign) or first.value is not call:
        return None
    body = script.body_of(first)
    place = next(number for number, each in enumerate(body) if each is first)
    for each in body[place + 1 :]:
        if _reports(script, each):
            return each
        if not isinstance(each, (ast.Assign, ast.Expr, ast.AugAssign)):
            return None
    return None


def _reports(script: Script, statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(value, ast.Call)
        and script.is_report(value)
        and any(each.arg == "checkpoint" for each in value.keywords)
    )


def to_dict(target: Target) -> Change | None:
    """The statement with ``checkpoint.to_dict()`` stands in a ``with open(...)`` statement."""
    script, use = target
    call = script.parent(use.node)
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    assert isinstance(use.node, ast.Attribute)
    statement = script.statement_of(call)
    imported = _imported(script, call, ("os", "pickle"))
    is_simple = isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr, ast.Return))
    if imported is None or not is_simple or not _stands_alone(script, statement, statement):
        return None
    if not script.source.is_in_place(call):
        return None
    path = f"os.path.join({script.text_of(use.node.value)}.path, {quoted(script, _FILE)})"
    outer = script.source.indentation(statement)
    opened = f"{outer}with open({path}, {quoted(script, 'rb')}) as checkpoint_file:\n"
    start = script.source.line_start(script.source.span(statement).start)
    span = script.source.span(call)
    edits = [
        Edit(each.start, each.end, opened + each.text) if each.start == start else each
        for each in _around(span, indented(script.source, statement, statement, _STEP))
    ]
    edits.append(Edit(span.start, span.end, "pickle.load(checkpoint_file)"))
    return Change(edits).with_also(imported)


def _around(span: Span, edits: list[Edit]) -> list[Edit]:
    """Those edits that are not inside of what is replaced anyway."""
    return [each for each in edits if not span.start < each.start < span.end]


def _imported(script: Script, node: ast.AST, modules: tuple[str, ...]) -> Change | None:
    """Makes modules known; one after the other, since each adds a line at the same place."""
    change = Change(())
    for each in modules:
        added = script.with_module(each, node)
        if added is None:
            return None
        change = change.with_also(added)
    return change


def _stands_alone(script: Script, first: ast.stmt, last: ast.stmt) -> bool:
    source = script.source
    return source.begins_line(source.span(first).start) and source.ends_line(source.span(last).end)
