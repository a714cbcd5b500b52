"""Changes of calls that report: keywords, numbers, ``reporter``."""

from __future__ import annotations

import ast

from localtune.old_names.scopes import arguments_of
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit, Span


def keywords_as_dict(target: Target) -> Change | None:
    """``report(loss=x, checkpoint=c)`` becomes ``report({"loss": x}, checkpoint=c)``."""
    script, use = target
    call = use.node
    assert isinstance(call, ast.Call)
    spans = script.source.arguments(call)
    names = {each.arg for each in call.keywords}
    if call.args or "metrics" in names or spans is None or len(spans) != len(call.keywords):
        return None
    at = {script.source.span(each).start: each for each in call.keywords}
    ordered = [(span, at.get(span.start)) for span in spans]
    if any(keyword is None for _, keyword in ordered):
        return None
    metrics = [span for span, keyword in ordered if keyword and keyword.arg != "checkpoint"]
    edits = [Edit(metrics[0].start, metrics[0].start, "{")]
    for span, keyword in ordered:
        if keyword and keyword.arg and keyword.arg != "checkpoint":
            edits.append(
                Edit(span.start, _value_start(script, span), f"{quoted(script, keyword.arg)}: ")
            )
    checkpoint = next((span for span, each in ordered if each and each.arg == "checkpoint"), None)
    if checkpoint is None or checkpoint.start > metrics[-1].start:
        edits.append(Edit(metrics[-1].end, metrics[-1].end, "}"))
        return Change(edits)
    # The checkpoint goes behind the metrics.
    following = next(span for span in metrics if span.start > checkpoint.start)
    moved = script.source.text[checkpoint.start : checkpoint.end]
    if following.start == edits[0].start:
        edits[0] = Edit(checkpoint.start, checkpoint.start, "{")
    edits.append(Edit(checkpoint.start, following.start, ""))
    edits.append(Edit(metrics[-1].end, metrics[-1].end, "}, " + moved))
    return Change(edits)


def number_as_dict(target: Target) -> Change | None:
    """``report(x)`` with a number becomes ``report({"_metric": x})``."""
    script, use = target
    call = use.node
    assert isinstance(call, ast.Call)
    spans = script.source.arguments(call)
    if not spans or len(spans) != 1:
        return None
    key = quoted(script, "_metric")
    return Change(
        [Edit(spans[0].start, spans[0].start, f"{{{key}: "), Edit(spans[0].end, spans[0].end, "}")]
    )


def without_reporter(target: Target) -> Change | None:
    """``def train(config, reporter)`` loses the parameter, for ``tune.report``."""
    script, use = target
    function = use.node
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    parameter = parameter_named(function, "reporter")
    reads = reads_of(script, parameter, function)
    known = script.tune_at(reads[0] if reads else function)
    if known is None or not all(_is_called(script, each) for each in reads):
        return None
    calls = [script.parent(each) for each in reads]
    if any(each.arg == "checkpoint" for call in calls for each in getattr(call, "keywords", ())):
        return None  # To a reporter, a path of its own under this name is a metric.
    name, change = known
    edits = without_parameter(script, function, parameter)
    edits += [Edit(*_ends(script.source.span(each)), f"{name}.report") for each in reads]
    return Change([*change.edits, *edits], change.locks)


def parameter_named(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> ast.arg:
    """Returns a parameter of a function.

    Args:
        function: The function.
        name: Name of the parameter.
    """
    return next(each for each in arguments_of(function) if each.arg == name)


def reads_of(script: Script, parameter: ast.arg, function: ast.AST) -> list[ast.Name]:
    """Returns the places in a function that read one of its parameters.

    Args:
        script: The script.
        parameter: The parameter.
        function: The function.
    """
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name)
        and node.id == parameter.arg
        and isinstance(node.ctx, ast.Load)
        and (binder := script.scope_at(node).binder(node.id)) is not None
        and binder.node is function
    ]


def without_parameter(
    script: Script, function: ast.FunctionDef | ast.AsyncFunctionDef, parameter: ast.arg
) -> list[Edit]:
    """Removes a parameter and its default.

    Args:
        script: The script.
        function: The function.
        parameter: One that is not its first.
    """
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    place = next((number for number, each in enumerate(given) if each is parameter), None)
    if place is None:  # Behind a star.
        place = next(n for n, each in enumerate(arguments.kwonlyargs) if each is parameter)
        default: ast.expr | None = arguments.kw_defaults[place]
        before: ast.AST | None = arguments.kwonlyargs[place - 1] if place else None
        if before is not None and arguments.kw_defaults[place - 1] is not None:
            before = arguments.kw_defaults[place - 1]
    else:
        first_default = len(given) - len(arguments.defaults)
        default = arguments.defaults[place - first_default] if place >= first_default else None
        before = given[place - 1] if place else None
        if place > first_default:
            before = arguments.defaults[place - 1 - first_default]
    end = script.source.span(default or parameter).end
    if before is not None:
        return [Edit(script.source.span(before).end, end, "")]
    comma = script.source.comma_after(Span(end, end))
    return [Edit(script.source.span(parameter).start, comma or end, "")]


def quoted(script: Script, text: str) -> str:
    """Returns a text as a literal, in the quotes that the script uses most.

    Args:
        script: The script.
        text: The text.
    """
    begins = [each.string.lstrip("rbfuRBFU")[:3] for each in script.source.tokens]
    single = sum(each[:1] == "'" and each != "'''" for each in begins)
    double = sum(each[:1] == '"' and each != '"""' for each in begins)
    quote = "'" if single > double else '"'
    return f"{quote}{text}{quote}"


def _is_called(script: Script, name: ast.Name) -> bool:
    around = script.parent(name)
    return isinstance(around, ast.Call) and around.func is name


def _value_start(script: Script, span: Span) -> int:
    """Where the value of a keyword argument begins."""
    equals = next(
        each for each in script.source.tokens if each.start > span.start and each.string == "="
    )
    text = script.source.text
    place = equals.end
    while text[place] in " \t":
        place += 1
    return place


def _ends(span: Span) -> tuple[int, int]:
    return span.start, span.end
