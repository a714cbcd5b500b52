"""Changes of arguments of calls."""

from __future__ import annotations

import ast

from localtune.tools.migrate.edits import (
    renamed_argument,
    without_argument,
)
from localtune.tools.migrate.names import Rewriter
from localtune.tools.migrate.reports import quoted
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit


def _parts(target: Target) -> tuple[Script, ast.Call, ast.keyword]:
    script, use = target
    call = script.parent(use.node)
    assert isinstance(call, ast.Call)
    assert isinstance(use.node, ast.keyword)
    return script, call, use.node


def removed(target: Target) -> Change | None:
    """Removes the argument."""
    script, call, keyword = _parts(target)
    edits = without_argument(script.source, call, keyword)
    return None if edits is None else Change(edits, frozenset({f"call {script.source.span(call)}"}))


def removed_if(*texts: str) -> Rewriter:
    """Makes a rewriter that removes an argument with some values, and leaves others.

    Args:
        *texts: The values, as they are written.
    """

    def rewrite(target: Target) -> Change | None:
        script, _, keyword = _parts(target)
        value = script.text_of(keyword.value)
        return removed(target) if value.rpartition(".")[2] in texts else None

    return rewrite


def renamed(name: str) -> Rewriter:
    """Makes a rewriter that gives an argument another name.

    Args:
        name: The new name; the change is left to hand if the call has it, too.
    """

    def rewrite(target: Target) -> Change | None:
        script, call, keyword = _parts(target)
        if any(each.arg == name for each in call.keywords):
            return None
        return Change(renamed_argument(script.source, keyword, name))

    return rewrite


def as_storage_path(target: Target) -> Change | None:
    """``local_dir="x"`` becomes ``storage_path=os.path.abspath("x")``."""
    script, _, keyword = _parts(target)
    change = renamed("storage_path")(target)
    value = absolute(script, keyword.value)
    return None if change is None or value is None else change.with_also(value)


def absolute(script: Script, node: ast.expr) -> Change | None:
    """Makes a path absolute, with regard to ``~``; None is left alone.

    Args:
        script: The script.
        node: The path.
    """
    if not script.source.is_in_place(node):
        return None
    text = script.text_of(node)
    value = node.value if isinstance(node, ast.Constant) else ""
    is_set = value is None or str(value).startswith("/") or "://" in str(value)
    if is_set or _is_absolute(script, node):
        return Change(())
    imported = script.with_module("os", node)
    if imported is None:
        return None
    if not isinstance(node, ast.Constant) or str(value).startswith("~"):
        text = f"os.path.expanduser({text})"
    new = text if str(value).startswith("~") else f"os.path.abspath({text})"
    span = script.source.span(node)
    return Change([Edit(span.start, span.end, new)]).with_also(imported)


def _is_absolute(script: Script, node: ast.expr) -> bool:
    """Whether an expression is sure to be an absolute path."""
    origin = script.origin(node.func) if isinstance(node, ast.Call) else None
    if origin in ("os.path.abspath", "os.path.realpath", "os.getcwd", "tempfile.mkdtemp"):
        return True
    if (
        origin in ("os.path.join", "os.path.expanduser")
        and isinstance(node, ast.Call)
        and node.args
    ):
        first = node.args[0]
        if isinstance(first, ast.Constant):
            return str(first.value).startswith("/" if origin == "os.path.join" else "~")
        return _is_absolute(script, first)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in ("resolve", "absolute"))
    )


def as_trials(target: Target) -> Change | None:
    """``tune.run(return_trials=True)`` becomes ``tune.run().trials``."""
    script, call, keyword = _parts(target)
    change = removed(target)
    if change is None or not isinstance(keyword.value, ast.Constant):
        return None
    if not keyword.value.value:
        return change
    end = script.source.span(call).end
    return change.with_also(Change([Edit(end, end, ".trials")]))


def limited(target: Target) -> Change | None:
    """``Search(max_concurrent=4)`` becomes ``ConcurrencyLimiter(Search(), max_concurrent=4)``."""
    script, call, keyword = _parts(target)
    change = removed(target)
    known = script.tune_at(call)
    if change is None or known is None or not script.source.is_in_place(call):
        return None
    name, imported = known
    span = script.source.span(call)
    value = script.text_of(keyword)
    around = [
        Edit(span.start, span.start, f"{name}.search.ConcurrencyLimiter("),
        Edit(span.end, span.end, f", {value})"),
    ]
    return change.with_also(Change(around)).with_also(imported)


def as_metric(target: Target) -> Change | None:
    """``reward_attr="x"`` becomes ``metric="x", mode="max"``."""
    script, call, keyword = _parts(target)
    change = renamed("metric")(target)
    if change is None or any(each.arg == "mode" for each in call.keywords):
        return change
    end = script.source.span(keyword.value).end
    return change.with_also(Change([Edit(end, end, f", mode={quoted(script, 'max')}")]))


def resume(target: Target) -> Change | None:
    """``resume="LOCAL"`` becomes ``resume="AUTO"``."""
    script, _, keyword = _parts(target)
    assert isinstance(keyword.value, ast.Constant)
    new = "AUTO+ERRORED_ONLY" if keyword.value.value == "ERRORED_ONLY" else "AUTO"
    span = script.source.span(keyword.value)
    return Change([Edit(span.start, span.end, quoted(script, new))])


def errored_only(target: Target) -> Change | None:
    """``run_errored_only=True`` becomes ``resume="AUTO+ERRORED_ONLY"``."""
    script, call, keyword = _parts(target)
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    if value is False:
        return removed(target)
    if value is not True:
        return None
    given = next((each for each in call.keywords if each.arg == "resume"), None)
    new = quoted(script, "AUTO+ERRORED_ONLY")
    if given is None:
        span = script.source.span(keyword)
        return Change([Edit(span.start, span.end, f"resume={new}")])
    change = removed(target)
    span = script.source.span(given.value)
    return change and change.with_also(Change([Edit(span.start, span.end, new)]))


def summed_resources(target: Target) -> Change | None:
    """``{"cpu": 1, "extra_cpu": 2}`` becomes ``{"cpu": 3}``: a trial holds what its workers use."""
    script, use = target
    node = use.node
    if not isinstance(node, ast.Dict) or not all(
        isinstance(each, ast.Constant) for each in node.keys
    ):
        return None
    values = {
        str(key.value): value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    }
    # A trial has one CPU unless it says how many.
    kept: dict[str, str] = {"cpu": "1"} if "extra_cpu" in values and "cpu" not in values else {}
    for name, value in values.items():
        own = name.removeprefix("extra_")
        kept[own] = _sum(script, kept[own], value) if own in kept else script.text_of(value)
    text = ", ".join(f"{quoted(script, key)}: {value}" for key, value in kept.items())
    span = script.source.span(node)
    return Change([Edit(span.start, span.end, f"{{{text}}}")])


def _sum(script: Script, text: str, node: ast.expr) -> str:
    try:
        return repr(ast.literal_eval(text) + ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError):
        return f"({text}) + ({script.text_of(node)})"
