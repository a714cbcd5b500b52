"""Uses of ``ray`` itself: statements that go, and calls that a person has to change."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from localtune.tools.migrate.edits import replaced
from localtune.tools.migrate.ray_starts import (
    IS_INITIALIZED,
    OF_CLUSTER,
    OF_LIMITS,
    REMOVE,
    advice_for_start,
    asks_for_ray,
    without_start,
)
from localtune.tools.migrate.script import Change, Script

# Calls that do nothing for a run of localtune.
_REMOVED = {
    "ray.init",
    "ray.shutdown",
    "ray.tune.ray.init",
    "ray.util.connect",
    "ray.util.disconnect",
}


# {a part of Ray: what to do}. The longest name that fits decides.
ADVICE = {
    "ray.init": OF_LIMITS,
    "ray.shutdown": REMOVE,
    "ray.put": "write tune.with_parameters(train, data=data)",
    "ray.get": "write tune.with_parameters(train, data=data)",
    "ray.wait": "write calls with concurrent.futures; localtune has no tasks",
    "ray.remote": "write calls with concurrent.futures; localtune has no tasks",
    "ray.kill": "localtune has no actors",
    "ray.actor": "localtune has no actors",
    "ray.is_initialized": "remove the condition: localtune needs no start",
    "ray.cluster_resources": 'write {"CPU": os.cpu_count()}',
    "ray.available_resources": 'write {"CPU": os.cpu_count()}',
    "ray.nodes": "localtune runs on one machine",
    "ray.get_gpu_ids": 'read os.environ["CUDA_VISIBLE_DEVICES"]',
    "ray.__version__": "write localtune.__version__",
    "ray.util.connect": OF_CLUSTER,
    "ray.util.disconnect": REMOVE,
    "ray.util": "localtune has no ray.util",
    "ray.cloudpickle": "write import cloudpickle",
}

_UNCHANGED = "`python -m localtune.compat SCRIPT` runs it unchanged"
# {a package that imports Ray itself: what to do}
_BESIDE_RAY = {
    "lightgbm_ray": "write lightgbm in the trainable",
    "ray_lightning": "write lightning in the trainable",
    "tune_sklearn": "write localtune.integration.sklearn.LocaltuneSearchCV",
    "xgboost_ray": "write xgboost in the trainable",
}


def needs_ray(script: Script) -> Iterator[tuple[ast.AST, str, str]]:
    """Yields what makes other packages import Ray: where it stands, its name, what to write.

    Args:
        script: The script.
    """
    for node in ast.walk(script.source.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or node.names[0].name
            package = module.partition(".")[0]
            if package in _BESIDE_RAY:
                yield node, package, _BESIDE_RAY[package]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            values = [each.value for each in node.keywords if each.arg == "backend"]
            is_ray = any(isinstance(each, ast.Constant) and each.value == "ray" for each in values)
            if node.func.attr == "hyperparameter_search" and is_ray:
                yield node, 'hyperparameter_search(backend="ray")', _UNCHANGED


def removal(script: Script, origin: str, node: ast.expr) -> Change | None:
    """Returns the change that removes a use of ``ray``, None if it does not just go.

    Args:
        script: The script.
        origin: Dotted name of what is used.
        node: Where.
    """
    call = script.parent(node)
    if origin == IS_INITIALIZED:
        # Scripts forget the parentheses.
        return _without_condition(script, call if isinstance(call, ast.Call) else node)
    if not isinstance(call, ast.Call) or call.func is not node:
        return None
    statement = script.parent(call)
    if origin == "ray.put":
        return _without_store(script, call)
    if origin not in _REMOVED:
        return None
    if isinstance(statement, ast.Assign) and _is_never_read(script, statement):
        return without_start(script, call, statement)
    if isinstance(statement, ast.Expr):
        return without_start(script, call, statement)
    return None


def _without_store(script: Script, put: ast.Call) -> Change | None:
    """Makes ``x = ray.put(data)`` and each ``ray.get(x)`` the data itself.

    Other objects are left to hand: a configuration is recorded, so it should hold no data.
    """
    statement = script.parent(put)
    if not isinstance(statement, ast.Assign) or len(put.args) != 1 or put.keywords:
        return None
    name = statement.targets[0]
    scope = script.scope_at(statement)
    if not isinstance(name, ast.Name) or scope.only_value(name.id) is not put:
        return None
    reads = [each for each in script.reads(name.id, scope) if not isinstance(each.ctx, ast.Del)]
    gets = [script.parent(each) for each in reads]
    edits = replaced(script.source, put, script.text_of(put.args[0]))
    for get in gets:
        if not isinstance(get, ast.Call) or script.origin(get.func) != "ray.get":
            return None
        if len(get.args) != 1 or get.keywords or not script.source.is_in_place(get):
            return None
        edits += replaced(script.source, get, name.id)
    return Change(edits)


def _is_never_read(script: Script, statement: ast.Assign) -> bool:
    target = statement.targets[0]
    if len(statement.targets) != 1 or not isinstance(target, ast.Name):
        return False
    return not script.is_used(target.id, script.scope_at(statement))


def _without_condition(script: Script, asked: ast.expr) -> Change | None:
    """Removes ``if ray.is_initialized(): pass``, and ``assert ray.is_initialized()``."""
    around = script.parent(asked)
    if isinstance(around, ast.UnaryOp):
        around = script.parent(around)
    if isinstance(around, ast.Assert):
        return script.without(around)
    if not isinstance(around, (ast.If, ast.While)) or around.orelse:
        return None
    if not asks_for_ray(script, around):
        return None
    if all(isinstance(each, ast.Pass) for each in around.body):
        return script.without(around)
    return None


def advice_at(script: Script, origin: str, node: ast.expr) -> str | None:
    """Returns what to do about a use of a part of Ray, None if there is nothing to say.

    Args:
        script: The script.
        origin: Its dotted name.
        node: Where it is used.
    """
    return advice_for_start(script, node) or advice_for(origin)


def advice_for_import(origin: str) -> str | None:
    """Returns what to do about the import of a part of Ray, None if there is nothing to say.

    Args:
        origin: Its dotted name.
    """
    return REMOVE if origin in _REMOVED else advice_for(origin)


def advice_for(origin: str) -> str | None:
    """Returns what to do about a part of Ray.

    Args:
        origin: Its dotted name.
    """
    from localtune.compat.refusals import remedy

    name = origin
    while name:
        if name in ADVICE:
            return ADVICE[name]
        name = name.rpartition(".")[0]
    return remedy(origin)
