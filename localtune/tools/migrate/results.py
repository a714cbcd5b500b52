"""Changes of what is read after a run: directories of trials, frames, checkpoints."""

from __future__ import annotations

import ast

from localtune.tools.migrate.names import attribute
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit


def best_directory(target: Target) -> Change | None:
    """``analysis.get_best_logdir(...)`` becomes ``analysis.get_best_trial(...).path``."""
    script, use = target
    call = script.parent(use.node)
    renamed = attribute("get_best_trial")(target)
    if renamed is None or not isinstance(call, ast.Call) or call.func is not use.node:
        return None
    end = script.source.span(call).end
    return renamed.with_also(Change([Edit(end, end, ".path")]))


def frames(target: Target) -> Change | None:
    """``analysis.fetch_trial_dataframes()`` becomes ``analysis.trial_dataframes``."""
    script, use = target
    call = script.parent(use.node)
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    assert isinstance(use.node, ast.Attribute)
    if not script.source.is_in_place(call):
        return None
    base, span = script.source.span(use.node.value), script.source.span(call)
    return Change([Edit(base.end, span.end, ".trial_dataframes")])


def frame_by_id(target: Target) -> Change | None:
    """``trial_dataframes[directory]`` becomes ``trial_dataframes[trial.trial_id]``."""
    script, use = target
    assert isinstance(use.node, ast.Subscript)
    trial = _trial_of(script, use.node.slice)
    if trial is None:
        return None
    span = script.source.span(use.node.slice)
    return Change([Edit(span.start, span.end, f"{trial}.trial_id")])


def checkpoint_by_trial(target: Target) -> Change | None:
    """``get_best_checkpoint(directory)`` becomes ``get_best_checkpoint(trial)``."""
    script, use = target
    assert isinstance(use.node, ast.Call)
    keyword = next((each.value for each in use.node.keywords if each.arg == "trial"), None)
    directory = keyword or use.node.args[0]
    trial = _trial_of(script, directory)
    if trial is None:
        return None
    span = script.source.span(directory)
    return Change([Edit(span.start, span.end, trial)])


def _trial_of(script: Script, node: ast.AST | None) -> str | None:
    """The text of the trial whose directory a value is; follows one variable."""
    if isinstance(node, ast.Name):
        binder = script.scope_at(node).binder(node.id)
        value = binder.only_value(node.id) if binder else None
        return None if isinstance(value, ast.Name) else _trial_of(script, value)
    called = node.func if isinstance(node, ast.Call) else None
    if node and isinstance(called, ast.Attribute) and called.attr == "get_best_logdir":
        if not isinstance(called.value, (ast.Name, ast.Attribute)):
            return None  # A second copy of it would do its work again.
        start, end = script.source.span(called), script.source.span(node)
        arguments = script.source.text[start.end : end.end]
        return f"{script.text_of(called.value)}.get_best_trial{arguments}"
    if isinstance(node, ast.Attribute):
        if node.attr == "best_logdir":
            return f"{script.text_of(node.value)}.best_trial"
        if node.attr in ("logdir", "path"):
            return script.text_of(node.value)
    return None


def path_of_checkpoint(target: Target) -> Change | None:
    """``os.path.join(checkpoint, file)`` becomes ``os.path.join(checkpoint.path, file)``."""
    script, use = target
    assert isinstance(use.node, ast.Call)
    scope = script.scope_at(use.node)
    found = [each for each in use.node.args if scope.meaning(each) == "<Checkpoint>"]
    if not all(script.source.is_in_place(each) for each in found):
        return None
    ends = [script.source.span(each).end for each in found]
    return Change([Edit(end, end, ".path") for end in ends])
