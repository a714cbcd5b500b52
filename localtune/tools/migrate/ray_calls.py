"""Uses of ``ray`` itself: statements that go, and calls that a person has to change."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from localtune.tools.migrate.arguments import executor_added
from localtune.tools.migrate.edits import replaced
from localtune.tools.migrate.script import Change, Script

# Calls that do nothing for a run of localtune.
_REMOVED = {
    "ray.init",
    "ray.shutdown",
    "ray.tune.ray.init",
    "ray.util.connect",
    "ray.util.disconnect",
}
# {argument of ray.init: argument of ProcessExecutor}
_LIMITS = {"num_cpus": "num_cpus", "num_gpus": "num_gpus", "resources": "resources"}
_STARTS_RUN = {"run", "Tuner", "run_experiments"}
_IS_INITIALIZED = "ray.is_initialized"

# {a part of Ray: what to do}. The longest name that fits decides.
ADVICE = {
    "ray.init": "write executor=tune.ProcessExecutor(num_cpus=...) in Tuner or tune.run",
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
    if origin == _IS_INITIALIZED:
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
        return _without_start(script, call, statement)
    if isinstance(statement, ast.Expr):
        return _without_start(script, call, statement)
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


def _without_start(script: Script, call: ast.Call, statement: ast.stmt) -> Change | None:
    """Removes a start of Ray; what it limits becomes the executor of the runs in the script."""
    limits = [each for each in call.keywords if each.arg in _LIMITS and not _is_none(each.value)]
    if any(each.arg is None for each in call.keywords):
        return None  # `**options` may hold limits.
    if not limits:
        return _dropped(script, statement)
    condition = _condition_of(script, statement)
    around = statement if condition is None else condition
    runs = [each for each in _runs(script) if not _has_executor(each)]
    if not runs or not _is_always_run(script, around):
        return None
    values = [each.value for each in limits] + ([] if condition is None else [condition.test])
    if not all(_is_known_at(script, value, each) for each in runs for value in values):
        return None
    text = ", ".join(f"{_LIMITS[str(each.arg)]}={script.text_of(each.value)}" for each in limits)
    change = _dropped(script, statement)
    for each in runs:
        added = executor_added(script, each, text, _only_if(script, condition, statement))
        if added is None:
            return None
        change = change.with_also(added)
    return change


def _condition_of(script: Script, statement: ast.stmt) -> ast.If | None:
    """The condition under which alone a statement runs, apart from that of the main module."""
    around = script.parent(statement)
    if not isinstance(around, ast.If) or _asks_for_ray(script, around) or _is_main(around):
        return None
    return around


def _only_if(script: Script, condition: ast.If | None, statement: ast.stmt) -> str:
    """The form of a value that holds under a condition; ``{}`` is the value."""
    if condition is None:
        return "{}"
    test = script.text_of(condition.test).replace("{", "{{").replace("}", "}}")
    is_first = any(each is statement for each in condition.body)
    return f"{{}} if {test} else None" if is_first else f"None if {test} else {{}}"


def _dropped(script: Script, statement: ast.stmt) -> Change:
    """Removes a statement; and the conditions around it, if nothing else depends on them."""
    first = script.parent(statement)
    if not isinstance(first, ast.If):
        return script.without(statement)
    while isinstance(around := script.parent(first), ast.If) and around.orelse == [first]:
        first = around  # It is an `elif` of this one.
    lock = Change((), frozenset({f"if {script.source.span(first)}"}))
    tests, others = _parts_of(first)
    has_effect = any(isinstance(node, ast.Call) for each in tests for node in ast.walk(each))
    if has_effect or not all(isinstance(each, ast.Pass) or each is statement for each in others):
        return script.without(statement).with_also(lock)
    return script.without(first).with_also(lock)


def _parts_of(statement: ast.If) -> tuple[list[ast.expr], list[ast.stmt]]:
    """The conditions of an ``if`` with its ``elif``, and the statements of all branches."""
    tests, statements = [statement.test], [*statement.body]
    while len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        statement = statement.orelse[0]
        tests.append(statement.test)
        statements += statement.body
    return tests, [*statements, *statement.orelse]


def _runs(script: Script) -> list[ast.Call]:
    found = []
    for node in ast.walk(script.source.tree):
        if isinstance(node, ast.Call):
            origin = script.origin(node.func)
            parts = str(origin).split(".")
            if parts[0] in ("ray", "localtune") and parts[-1] in _STARTS_RUN:
                found.append(node)
    return found


def _has_executor(call: ast.Call) -> bool:
    return any(each.arg == "executor" for each in call.keywords)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_always_run(script: Script, statement: ast.stmt) -> bool:
    """Whether a statement stands under no condition but that of ``ray.is_initialized()``."""
    around = script.parent(statement)
    while around is not None and not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if isinstance(around, ast.If) and not (_asks_for_ray(script, around) or _is_main(around)):
            return False
        if isinstance(around, (ast.For, ast.While, ast.ClassDef, ast.Lambda)):
            return False
        around = script.parent(around)
    return True


def _asks_for_ray(script: Script, statement: ast.If | ast.While) -> bool:
    test = statement.test.operand if isinstance(statement.test, ast.UnaryOp) else statement.test
    asked = test.func if isinstance(test, ast.Call) else test
    return script.origin(asked) == _IS_INITIALIZED


def _is_main(statement: ast.If) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    )


def _is_known_at(script: Script, value: ast.expr, call: ast.Call) -> bool:
    """Whether the names in a value mean the same at a call."""
    scope = script.scope_at(call)
    for node in ast.walk(value):
        if isinstance(node, (ast.Call, ast.NamedExpr)):
            return False
        if isinstance(node, ast.Name):
            here = script.scope_at(node).binder(node.id)
            if scope.binder(node.id) is not here:
                return False
    return True


def _without_condition(script: Script, asked: ast.expr) -> Change | None:
    """Removes ``if ray.is_initialized(): pass``, and ``assert ray.is_initialized()``."""
    around = script.parent(asked)
    if isinstance(around, ast.UnaryOp):
        around = script.parent(around)
    if isinstance(around, ast.Assert):
        return script.without(around)
    if not isinstance(around, (ast.If, ast.While)) or around.orelse:
        return None
    if not _asks_for_ray(script, around):
        return None
    if all(isinstance(each, ast.Pass) for each in around.body):
        return script.without(around)
    return None


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
