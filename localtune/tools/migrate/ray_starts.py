"""Starts of Ray: ``ray.init()`` goes, and its limits become the executor of the runs.

::

    ray.init()                             -->  nothing
    ray.init(num_cpus=2)                   -->  executor=tune.ProcessExecutor(num_cpus=2)
    ray.init(local_mode=True)              -->  executor="inprocess"
    ray.init("ray://..."), or who knows    -->  left to hand: there is no cluster
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from localtune.tools.migrate.edits import with_argument
from localtune.tools.migrate.reports import quoted
from localtune.tools.migrate.script import NOTHING, Change, Script

IS_INITIALIZED = "ray.is_initialized"
_STARTS_RAY = ("ray.init", "ray.tune.ray.init")
_CONNECTS = "ray.util.connect"
# Arguments, the first one by position, that name a cluster; and their values for none.
_ADDRESSES = ("address", "redis_address")
_THIS_MACHINE = (None, "auto", "local")
# {argument of ray.init: argument of ProcessExecutor}
_LIMITS = {"num_cpus": "num_cpus", "num_gpus": "num_gpus", "resources": "resources"}
_STARTS_RUN = {"run", "Tuner", "run_experiments"}

# What to do.
REMOVE = "remove it"
OF_CLUSTER = "remove it: localtune runs on one machine"
OF_LIMITS = "write executor=tune.ProcessExecutor(num_cpus=...) in Tuner or tune.run"
_OF_LOCAL_MODE = 'write executor="inprocess" in Tuner or tune.run'


def advice_for_start(script: Script, node: ast.expr) -> str | None:
    """Returns what to do about a start of Ray, None for what is no start.

    Args:
        script: The script.
        node: What is called.
    """
    call, origin = script.parent(node), script.origin(node)
    if not isinstance(call, ast.Call) or call.func is not node:
        return None
    if origin not in (*_STARTS_RAY, _CONNECTS):
        return None
    if _names_cluster(script, call):
        return OF_CLUSTER
    if _local_mode_of(call) is not None:
        return _OF_LOCAL_MODE
    return OF_LIMITS if _limits_of(call) or any(not each.arg for each in call.keywords) else REMOVE


def without_start(script: Script, call: ast.Call, statement: ast.stmt) -> Change | None:
    """Removes a start of Ray; what it limits becomes the executor of the runs in the script.

    Args:
        script: The script.
        call: The call that starts Ray, or ends it.
        statement: The statement that does nothing but that.
    """
    if _names_cluster(script, call) or any(each.arg is None for each in call.keywords):
        return None  # `**options` may hold limits.
    limits, local = _limits_of(call), _local_mode_of(call)
    if not limits and local is None:
        return _dropped(script, statement)
    condition = _condition_of(script, statement)
    around = statement if condition is None else condition
    runs = [each for each in _runs(script) if not _has_executor(each)]
    if not runs or not _is_always_run(script, around):
        return None
    values = [each.value for each in limits] + ([] if condition is None else [condition.test])
    values += [] if local is None else [local]
    if not all(_is_known_at(script, value, each) for each in runs for value in values):
        return None
    form = _only_if(script, condition, statement)
    change = _dropped(script, statement)
    for each in runs:
        text = _executor(script, each, limits, local)
        if text is None:
            return None
        executor, imported = text
        edits = with_argument(script.source, each, f"executor={form(executor)}")
        if edits is None:
            return None
        change = change.with_also(Change(edits)).with_also(imported)
    return change


def _names_cluster(script: Script, call: ast.Call) -> bool:
    """Whether a start of Ray connects with a cluster, or may do so."""
    origin = script.origin(call.func)
    if origin == _CONNECTS:
        return True
    if origin not in _STARTS_RAY:
        return False
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in _ADDRESSES)]
    return not all(isinstance(each, ast.Constant) and each.value in _THIS_MACHINE for each in given)


def _limits_of(call: ast.Call) -> list[ast.keyword]:
    return [each for each in call.keywords if each.arg in _LIMITS and not _is_none(each.value)]


def _local_mode_of(call: ast.Call) -> ast.expr | None:
    """The value of ``local_mode=``, None if it is false anyway."""
    found = next((each.value for each in call.keywords if each.arg == "local_mode"), None)
    is_off = isinstance(found, ast.Constant) and not found.value
    return None if is_off else found


def _executor(
    script: Script, run: ast.Call, limits: list[ast.keyword], local: ast.expr | None
) -> tuple[str, Change] | None:
    """The executor that has the limits of a start of Ray, and what makes its names known."""
    in_process = quoted(script, "inprocess")
    if isinstance(local, ast.Constant):
        return in_process, NOTHING
    executor, imported = "None", NOTHING
    if limits:
        known = script.tune_at(run)
        if known is None:
            return None
        name, imported = known
        text = ", ".join(
            f"{_LIMITS[str(each.arg)]}={script.text_of(each.value)}" for each in limits
        )
        executor = f"{name}.ProcessExecutor({text})"
    if local is None:
        return executor, imported
    return f"{in_process} if {_operand(script, local)} else {executor}", imported


def _operand(script: Script, node: ast.expr) -> str:
    """The text of a value that stands in a conditional expression."""
    is_simple = isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))
    return script.text_of(node) if is_simple else f"({script.text_of(node)})"


def _condition_of(script: Script, statement: ast.stmt) -> ast.If | None:
    """The condition under which alone a statement runs, apart from that of the main module."""
    around = script.parent(statement)
    if not isinstance(around, ast.If) or asks_for_ray(script, around) or _is_main(around):
        return None
    return around


def _only_if(script: Script, condition: ast.If | None, statement: ast.stmt) -> Callable[[str], str]:
    """What writes a value that holds under a condition; the value is None if it does not hold."""
    if condition is None:
        return lambda value: value
    test = script.text_of(condition.test)
    if any(each is statement for each in condition.body):
        return lambda value: f"{_grouped(value)} if {test} else None"
    return lambda value: f"None if {test} else {value}"


def _grouped(value: str) -> str:
    return f"({value})" if isinstance(ast.parse(value, mode="eval").body, ast.IfExp) else value


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
        if isinstance(around, ast.If) and not (asks_for_ray(script, around) or _is_main(around)):
            return False
        if isinstance(around, (ast.For, ast.While, ast.ClassDef, ast.Lambda)):
            return False
        around = script.parent(around)
    return True


def asks_for_ray(script: Script, statement: ast.If | ast.While) -> bool:
    """Returns whether the condition of a statement is ``ray.is_initialized()``, or its opposite.

    Args:
        script: The script.
        statement: The statement.
    """
    test = statement.test.operand if isinstance(statement.test, ast.UnaryOp) else statement.test
    asked = test.func if isinstance(test, ast.Call) else test
    return script.origin(asked) == IS_INITIALIZED


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
