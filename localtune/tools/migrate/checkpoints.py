"""Changes of functions that save with ``tune.checkpoint_dir`` and load from an argument.

::

    with tune.checkpoint_dir(step=i) as path:        with tempfile.TemporaryDirectory() as path:
        save(path)                             -->       save(path)
    tune.report({"loss": x})                             tune.report({"loss": x}, checkpoint=
                                                             tune.Checkpoint.from_directory(path))
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from localtune.tools.migrate.edits import indented, new_line_before, with_argument
from localtune.tools.migrate.reports import parameter_named, reads_of, without_parameter
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit


def directory_as_temporary(target: Target) -> Change | None:
    """Makes the directory a temporary one, and gives it to the report that follows."""
    script, use = target
    call = script.parent(use.node)
    item = script.parent(call)
    block = script.parent(item)
    if (
        not isinstance(block, ast.With)
        or not isinstance(item, ast.withitem)
        or len(block.items) != 1
    ):
        return None
    if not isinstance(call, ast.Call) or not isinstance(item.optional_vars, ast.Name):
        return None
    known, imported = script.tune_at(call), script.with_module("tempfile", call)
    if known is None or imported is None:
        return None
    saved = f"checkpoint={known[0]}.Checkpoint.from_directory({item.optional_vars.id})"
    edits = _reported(script, block, saved)
    if edits is None:
        return None
    span = script.source.span(call)
    edits.append(Edit(span.start, span.end, "tempfile.TemporaryDirectory()"))
    return Change(edits).with_also(known[1]).with_also(imported)


def _reported(script: Script, block: ast.With, saved: str) -> list[Edit] | None:
    """The edits that give the checkpoint to a report, inside the block."""
    inside = [each for each in block.body if _report_in(script, each)]
    if any(_reports_within(script, each) for each in block.body):
        is_plain = len(inside) == 1
        return _with_checkpoint(script, inside[0], saved) if is_plain else None
    siblings = script.body_of(block)
    place = _place(siblings, block)
    around = script.parent(block)
    if any(_reports_within(script, each) for each in siblings[place + 1 :]):
        return _moved_in(script, block, siblings[place + 1 :], saved)
    if isinstance(around, ast.If) and siblings is around.body and not around.orelse:
        both = _in_both_branches(script, block, around, saved)
        if both is not None:
            return both
    if place and _report_in(script, siblings[place - 1]):
        return _moved_behind(script, block, siblings[place - 1], saved)
    return None


def _reports_within(script: Script, statement: ast.stmt) -> bool:
    return any(script.is_report(each) for each in ast.walk(statement))


def _moved_in(
    script: Script, block: ast.With, following: Sequence[ast.stmt], saved: str
) -> list[Edit] | None:
    """Moves the statements up to the next report into the block."""
    last = next(n for n, each in enumerate(following) if _reports_within(script, each))
    added = _with_checkpoint(script, following[last], saved)
    by = _step_of(script, block)
    if added is None or by is None or not _is_alone(script, [*following[: last + 1], block]):
        return None
    added = [each._replace(text=each.text.replace("\n", f"\n{by}")) for each in added]
    return [*added, *indented(script.source, following[0], following[last], by, behind=block)]


def _moved_behind(
    script: Script, block: ast.With, report: ast.stmt, saved: str
) -> list[Edit] | None:
    """Moves the report that stands before the block to the end of the block."""
    source = script.source
    added, text = _with_checkpoint(script, report, saved), source.segment(report)
    if added is None or not _is_alone(script, [report, block]) or "\n" in text or "\r" in text:
        return None
    span, end = source.span(report), source.span(block).end
    at = added[0].start - span.start
    comment = source.text[span.end : source.line_end(span.end)].rstrip()
    moved = text[:at] + added[0].text + text[at:] + comment
    return [
        Edit(source.line_start(span.start), source.line_end(span.end), ""),
        Edit(end, end, f"\n{source.indentation(block.body[0])}{moved}"),
    ]


def _in_both_branches(
    script: Script, block: ast.With, condition: ast.If, saved: str
) -> list[Edit] | None:
    """``if c: with ...`` and a report: with a checkpoint if c, without one otherwise."""
    siblings = script.body_of(condition)
    following = siblings[_place(siblings, condition) + 1 :]
    if not following or _report_in(script, following[0]) is None:
        return None
    report = following[0]
    by = _step_of(script, block)
    call = _report_in(script, report)
    if by is None or call is None or not _is_alone(script, [report, block, condition]):
        return None
    added = with_argument(script.source, call, saved)
    if added is None:
        return None
    source = script.source
    text, outer = source.segment(report), source.indentation(report)
    step = source.indentation(condition.body[0])[len(outer) :]
    if "\n" in text or "\r" in text:
        return None
    at = added[0].start - source.span(report).start
    with_checkpoint = text[:at] + added[0].text + text[at:]
    inner = source.indentation(block.body[0])
    start, end = source.line_start(source.span(report).start), source.span(report).end
    new = f"{inner}{with_checkpoint}\n{outer}else:\n{outer}{step}{text}"
    return [Edit(start, end, new)]


def _report_in(script: Script, statement: ast.stmt) -> ast.Call | None:
    """The call of report that a statement consists of."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if script.is_report(call):
            return call
    return None


def _with_checkpoint(script: Script, report: ast.stmt, saved: str) -> list[Edit] | None:
    call = _report_in(script, report)
    if call is None or any(each.arg == "checkpoint" for each in call.keywords):
        return None
    return with_argument(script.source, call, saved)


def _is_alone(script: Script, statements: Sequence[ast.stmt]) -> bool:
    """Whether statements stand in lines of their own."""
    spans = [script.source.span(each) for each in statements]
    return all(
        script.source.begins_line(span.start) and script.source.ends_line(span.end)
        for span in spans
    )


def _step_of(script: Script, block: ast.With) -> str | None:
    """What the body of a block is indented by."""
    outer, inner = (script.source.indentation(each) for each in (block, block.body[0]))
    return inner[len(outer) :] if inner.startswith(outer) and inner != outer else None


def _place(statements: Sequence[ast.stmt], statement: ast.stmt) -> int:
    return next(number for number, each in enumerate(statements) if each is statement)


def parameter_as_checkpoint(target: Target) -> Change | None:
    """``def train(config, checkpoint_dir=None)`` asks for the checkpoint itself."""
    script, use = target
    function = use.node
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    parameter = parameter_named(function, "checkpoint_dir")
    edits = without_parameter(script, function, parameter)
    if not reads_of(script, parameter, function):
        return Change(edits)
    first = _first_statement(function)
    known = script.tune_at(first)
    if known is None or _is_called_with_it(script, function):
        return None
    name, imported = known
    line = f"{parameter.arg} = {name}.get_checkpoint().path if {name}.get_checkpoint() else None"
    edits += new_line_before(script.source, first, line)
    return Change(edits).with_also(imported)


def _first_statement(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return function.body[1] if is_docstring and len(function.body) > 1 else first


def _is_called_with_it(script: Script, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the script itself gives the function a directory."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function.name
        and len(node.args) + len(node.keywords) > 1
        for node in ast.walk(script.source.tree)
    )


def path_from_save(target: Target) -> Change | None:
    """The name of the file moves from ``save_checkpoint`` into ``load_checkpoint``."""
    script, use = target
    method = script.enclosing(use.node, ast.FunctionDef)
    around = script.parent(method)
    assert isinstance(use.node, ast.Return)
    if not isinstance(method, ast.FunctionDef) or not isinstance(around, ast.ClassDef):
        return None
    file = _file_in(script, use.node.value, method)
    returns = [each for each in ast.walk(method) if isinstance(each, ast.Return)]
    load = _method(around, "load_checkpoint", "_restore")
    if not isinstance(file, ast.Constant) or use.node.value is None or len(returns) != 1:
        return None
    span = script.source.span(use.node.value)
    edits = [Edit(span.start, span.end, method.args.args[1].arg)]
    if load is None or len(load.args.args) != 2:
        return Change(edits) if load is None else None
    imported = script.with_module("os", load)
    if imported is None:
        return None
    given = load.args.args[1].arg
    line = f"{given} = os.path.join({given}, {script.text_of(file)})"
    edits += new_line_before(script.source, _first_statement(load), line)
    return Change(edits).with_also(imported)


def _file_in(script: Script, node: ast.expr | None, method: ast.FunctionDef) -> ast.expr | None:
    """The name of the file, if an expression joins it to the directory of the checkpoint."""
    if isinstance(node, ast.Name):
        value = script.scope_at(node).only_value(node.id)
        return _file_in(script, value, method) if isinstance(value, ast.Call) else None
    if not isinstance(node, ast.Call) or len(node.args) != 2 or len(method.args.args) != 2:
        return None
    directory, file = node.args
    is_directory = isinstance(directory, ast.Name) and directory.id == method.args.args[1].arg
    return file if script.origin(node.func) == "os.path.join" and is_directory else None


def _method(node: ast.ClassDef, *names: str) -> ast.FunctionDef | None:
    methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
    return next((each for each in methods if each.name in names), None)
