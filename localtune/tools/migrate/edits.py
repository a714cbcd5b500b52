"""Edits that are made of a script's nodes: arguments, statements, imports."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from localtune.tools.migrate.source import Edit, Source, Span


def replaced(source: Source, node: ast.AST, text: str) -> list[Edit]:
    """Puts a text in the place of a node.

    Args:
        source: The script.
        node: An expression or a statement.
        text: The text.
    """
    span = source.span(node)
    return [Edit(span.start, span.end, text)]


def without_argument(source: Source, call: ast.Call, argument: ast.AST) -> list[Edit] | None:
    """Removes an argument of a call, with its comma, and its lines if it stands alone in them.

    Args:
        source: The script.
        call: The call.
        argument: A keyword, or a positional argument.

    Returns:
        None if the text does not show where the arguments stand.
    """
    spans = source.arguments(call)
    place = _place_of(source, spans, argument)
    if spans is None or place is None:
        return None
    span = spans[place]
    end = source.comma_after(span) or span.end
    if source.begins_line(span.start) and source.ends_line(end):
        return [Edit(source.line_start(span.start), source.line_end(end), "")]
    if place + 1 < len(spans):
        return [Edit(span.start, spans[place + 1].start, "")]
    if place and "#" not in source.text[spans[place - 1].end : span.start]:
        return [Edit(spans[place - 1].end, end if end > span.end else span.end, "")]
    return [Edit(span.start, end, "")]


def _place_of(source: Source, spans: list[Span] | None, argument: ast.AST) -> int | None:
    start = source.span(argument).start
    inside = [place for place, span in enumerate(spans or []) if span.start <= start < span.end]
    return inside[0] if inside else None


def with_argument(source: Source, call: ast.Call, text: str) -> list[Edit] | None:
    """Adds an argument behind the others of a call.

    Args:
        source: The script.
        call: The call.
        text: The argument.

    Returns:
        None if the text does not show where the arguments stand.
    """
    spans = source.arguments(call)
    if spans is None:
        return None
    close = source.span(call).end - 1
    if not spans:
        return [Edit(close, close, text)]
    last = spans[-1]
    comma = source.comma_after(last)
    own_line = source.begins_line(last.start)
    indent = source.text[source.line_start(last.start) : last.start]
    separator = "\n" + indent if own_line else " "
    if comma is None:
        return [Edit(last.end, last.end, f",{separator}{text}")]
    return [Edit(comma, comma, f"{separator}{text},")]


def renamed_argument(source: Source, keyword: ast.keyword, name: str) -> list[Edit]:
    """Gives a keyword argument another name.

    Args:
        source: The script.
        keyword: The argument.
        name: Its new name.
    """
    start = source.span(keyword).start
    return [Edit(start, start + len(keyword.arg or ""), name)]


def body_of(parent: ast.AST, statement: ast.AST) -> list[ast.stmt]:
    """Returns the list of statements in which a statement stands.

    Args:
        parent: The node around it.
        statement: The statement.
    """
    for _, value in ast.iter_fields(parent):
        if isinstance(value, list) and any(each is statement for each in value):
            return value
    raise ValueError("The statement does not stand in this node.")


def without_statement(source: Source, statement: ast.stmt, body: Sequence[ast.stmt]) -> list[Edit]:
    """Removes a statement, with the comment behind it; an empty body becomes ``pass``.

    Args:
        source: The script.
        statement: The statement.
        body: The statements among which it stands.
    """
    span = source.span(statement)
    if len(body) == 1 and body is not source.tree.body:
        return [Edit(span.start, span.end, "pass")]
    place = next(number for number, each in enumerate(body) if each is statement)
    end = span.end
    rest = source.text[end : source.line_end(end)]
    if rest.lstrip().startswith(";") and place + 1 < len(body):
        following = source.span(body[place + 1]).start
        if following < source.line_end(end):
            return [Edit(span.start, following, "")]
    if not source.begins_line(span.start):  # a; b
        return [Edit(source.span(body[place - 1]).end, end, "")]
    return [Edit(source.line_start(span.start), source.line_end(end), "")]


def new_line_before(source: Source, statement: ast.stmt, text: str) -> list[Edit]:
    """Puts a line of its own before a statement.

    Args:
        source: The script.
        statement: The statement.
        text: The line, without indentation.
    """
    start = source.span(statement).start
    decorators = getattr(statement, "decorator_list", [])
    if decorators:
        start = source.line_start(source.span(decorators[0]).start)
        start += len(source.indentation(statement))
    if not source.begins_line(start):
        return [Edit(start, start, f"{text}; ")]
    return [Edit(start, start, f"{text}\n{source.indentation(statement)}")]


def with_import(source: Source, line: str) -> list[Edit]:
    """Adds an import at the top of the script: before its first one, or behind its docstring.

    Args:
        source: The script.
        line: The statement.
    """
    body = source.tree.body
    behind = [
        each
        for number, each in enumerate(body)
        if (isinstance(each, ast.ImportFrom) and each.module == "__future__")
        or (number == 0 and isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]
    following = [each for each in body if each not in behind]
    imports = [each for each in following if isinstance(each, (ast.Import, ast.ImportFrom))]
    if imports:  # Names of Ray are used behind one of them.
        return new_line_before(source, imports[0], line)
    if behind:
        place = source.line_end(source.span(behind[-1]).end)
        before = "" if source.text[:place].endswith(("\n", "\r")) else "\n"
        return [Edit(place, place, f"{before}{line}\n")]
    if following:
        return new_line_before(source, following[0], line)
    return [Edit(0, 0, line + "\n")]


def indented(
    source: Source, first: ast.stmt, last: ast.stmt, by: str, *, behind: ast.stmt | None = None
) -> list[Edit]:
    """Indents statements that stand in lines of their own; not the inner lines of strings.

    Args:
        source: The script.
        first: The first statement.
        last: The last statement.
        by: What to put before each line.
        behind: A statement; the comments between it and the first one are indented, too.
    """
    start = source.line_start(source.span(first).start)
    if behind is not None:
        start = source.line_end(source.span(behind).end)
    end = source.span(last).end
    places = {source.line_start(each.start) for each in source.tokens if start <= each.start < end}
    # Lines in which a string goes on belong to its value.
    strings = [
        source.span(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
    ]
    inner = {place for place in places for each in strings if each.start < place < each.end}
    return [Edit(place, place, by) for place in sorted(places - inner)]
