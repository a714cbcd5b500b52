"""What the names in a piece of code mean, found without running it.

An expression means the dotted name of a module, function or class, such as ``ray.tune.run``; or, in
angle brackets, the class of an object, such as ``<Result>``::

    from ray import tune                   tune            ray.tune
    grid = tune.Tuner(train).fit()         grid            <ResultGrid>
    grid.get_best_result().checkpoint                      <Checkpoint>
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TypeAlias

Outer: TypeAlias = "Callable[[str], str | None]"
_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

PACKAGES = ("ray", "localtune")
# Modules whose functions are the functions of ``tune``.
_FACES = {
    "ray.tune",
    "ray.tune.tune",
    "ray.train",
    "ray.air",
    "localtune",
    "localtune.tune",
    "localtune.registry",
    "localtune.trainable.session",
    "localtune.trainable.util",
}
# {what is called, read or indexed: what it gives}
_GIVES = {
    "tune.run()": "<ExperimentAnalysis>",
    "tune.get_checkpoint()": "<Checkpoint>",
    "session.get_checkpoint()": "<Checkpoint>",
    "tune.Analysis()": "<ExperimentAnalysis>",
    "<Tuner>.fit()": "<ResultGrid>",
    "<Tuner>.get_results()": "<ResultGrid>",
    "ray.tune.Tuner.restore()": "<Tuner>",
    "localtune.Tuner.restore()": "<Tuner>",
    "<ResultGrid>[]": "<Result>",
    "<ResultGrid>.get_best_result()": "<Result>",
    "<Result>.checkpoint": "<Checkpoint>",
    "<Result>.get_best_checkpoint()": "<Checkpoint>",
    "<ExperimentAnalysis>.trials": "<Trials>",
    "<Trials>[]": "<Trial>",
    "<ExperimentAnalysis>.best_trial": "<Trial>",
    "<ExperimentAnalysis>.get_best_trial()": "<Trial>",
    "<ExperimentAnalysis>.best_checkpoint": "<Checkpoint>",
    "<ExperimentAnalysis>.get_best_checkpoint()": "<Checkpoint>",
    "<ExperimentAnalysis>.get_last_checkpoint()": "<Checkpoint>",
    "<Trial>.checkpoint": "<Checkpoint>",
    "<Checkpoint>.to_air_checkpoint()": "<Checkpoint>",
    "<Trial>.path": "<directory>",
    "<Trial>.logdir": "<directory>",
    "<ExperimentAnalysis>.best_logdir": "<directory>",
    "<ExperimentAnalysis>.get_best_logdir()": "<directory>",
}


class Scope:
    """The names that a module, a class or a function binds.

    Args:
        node: The module, class or function; or, at the top, any piece of code.
        parent: The scope around it; None at the top.
        outer: Tells what a name means that no scope binds.
    """

    def __init__(self, node: ast.AST, parent: Scope | None, outer: Outer) -> None:
        self.node = node
        self.parent = parent
        self.outer = outer
        self.imports: dict[str, str] = {}
        self.functions: dict[str, ast.AST] = {}
        # {name: the expressions that it gets, None for one that is not known}
        self._values: dict[str, list[ast.expr | None]] = {}
        # What those names mean, as far as it has been asked for.
        self._meanings: dict[str, str | None] = {}
        if isinstance(node, _FUNCTIONS):
            for argument in arguments_of(node):
                self._bind(argument.arg, None)
        for each in own_nodes(node):
            self._collect(each)

    def meaning(self, node: ast.AST, depth: int = 0) -> str | None:
        """Returns what an expression means, None if that is not known.

        Args:
            node: The expression.
            depth: Number of names that were followed to get here.
        """
        if depth > 20:
            return None
        if isinstance(node, ast.Name):
            return self._of_name(node.id, depth)
        if isinstance(node, ast.Attribute):
            base = self.meaning(node.value, depth + 1)
            return (
                None if base is None else _GIVES.get(f"{base}.{node.attr}", f"{base}.{node.attr}")
            )
        if isinstance(node, ast.Call):
            return self._of_call(node, depth)
        if isinstance(node, ast.Subscript):
            return _GIVES.get(f"{self.meaning(node.value, depth + 1)}[]")
        return None

    def _of_call(self, node: ast.Call, depth: int) -> str | None:
        called = self.meaning(node.func, depth + 1)
        if called is None:
            return None
        public = called if called.startswith("<") else public_name(called)
        given = _GIVES.get(f"{called}()") or _GIVES.get(f"{public}()")
        if given is None and public is not None and public[0].isupper():
            return f"<{public}>"
        return given

    def _of_name(self, name: str, depth: int) -> str | None:
        scope: Scope | None = self
        while scope is not None:
            if scope is self or not isinstance(scope.node, ast.ClassDef):
                values = scope._values.get(name, ())
                # `session = None` stands for a failed import.
                if name in scope.imports and all(map(_is_none, values)):
                    return scope.imports[name]
                if name in scope.imports:
                    return None
                if name in scope._values:
                    return scope._of_values(name, depth)
            if scope.parent is None:
                return scope.outer(name)
            scope = scope.parent
        return None

    def _of_values(self, name: str, depth: int) -> str | None:
        if name not in self._meanings:
            # Meanwhile it is not known: `a = f(b)` and `b = f(a)` refer to each other.
            self._meanings[name] = None
            values = self._values[name]
            meanings = {None if each is None else self.meaning(each, depth + 1) for each in values}
            self._meanings[name] = meanings.pop() if len(meanings) == 1 else None
        return self._meanings[name]

    def binder(self, name: str) -> Scope | None:
        """Returns the scope whose name it is, None if no scope binds it.

        Args:
            name: The name, as code of this scope uses it.
        """
        scope: Scope | None = self
        while scope is not None:
            is_seen = scope is self or not isinstance(scope.node, ast.ClassDef)
            if is_seen and (name in scope.imports or name in scope._values):
                return scope
            scope = scope.parent
        return None

    def only_value(self, name: str) -> ast.expr | None:
        """Returns the expression that a name of this scope gets; None if there is not just one.

        Args:
            name: The name.
        """
        values = self._values.get(name, [])
        return values[0] if len(values) == 1 else None

    def function_named(self, name: str) -> ast.AST | None:
        """Returns the function that a name stands for, None if it is none of this code.

        Args:
            name: The name.
        """
        scope: Scope | None = self
        while scope is not None:
            if name in scope.functions:
                return scope.functions[name]
            scope = scope.parent
        return None

    def _bind(self, name: str, value: ast.expr | None) -> None:
        self._values.setdefault(name, []).append(value)

    def _collect(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for each in node.names:
                root = each.name.partition(".")[0]
                self.imports[each.asname or root] = each.name if each.asname else root
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                if not node.level:
                    self.imports[each.asname or each.name] = f"{node.module}.{each.name}"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.functions.setdefault(node.name, node)
            self._bind(node.name, None)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            self._assign(node.target, node.value)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            element = ast.Subscript(node.iter, ast.Constant(0), ast.Load())
            self._assign(node.target, element)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self._assign(item.optional_vars, None)
        elif isinstance(node, ast.AugAssign):
            self._assign(node.target, None)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            self._bind(node.name, None)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self._bind(node.rest, None)

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._assign(each, None)
        elif isinstance(target, ast.Starred):
            self._assign(target.value, None)


def _is_none(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def public_name(dotted: str) -> str | None:
    """Returns the name that users know a function or class by.

    Args:
        dotted: Dotted name, such as ``ray.tune.run`` or ``localtune.trainable.session.report``.

    Returns:
        ``tune.run``; the class alone, such as ``RunConfig``; the last module and the name for
        others, such as ``session.report``. None if it belongs to neither Ray nor localtune.
    """
    place, _, name = dotted.rpartition(".")
    if place.partition(".")[0] not in PACKAGES:
        return None
    is_class = name[:1].isupper() and name not in _NOT_CLASSES
    if is_class or name == "run_experiments":
        return name
    return f"tune.{name}" if place in _FACES else f"{place.rpartition('.')[2]}.{name}"


# Names of modules that are rows of their own although they are written like classes.
_NOT_CLASSES = (
    "Analysis",
    "EarlyStopping",
    "DurableTrainable",
    "WandbLogger",
    "MLFlowLogger",
)


def arguments_of(function: _Function) -> list[ast.arg]:
    """Returns the arguments of a function, in their order."""
    args = function.args
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [*found, *(each for each in (args.vararg, args.kwarg) if each is not None)]


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes of a scope without those of the functions and classes in it.

    Args:
        node: The module, class or function.
    """
    waiting = list(_body_of(node))[::-1]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, (*_FUNCTIONS, ast.ClassDef)):
            # Decorators, defaults and bases belong to the scope around.
            waiting += _outside_parts(each)[::-1]
        else:
            waiting += list(ast.iter_child_nodes(each))[::-1]


def _body_of(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Lambda):
        yield node.body
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield from node.body
    else:
        yield from ast.iter_child_nodes(node)


def _outside_parts(node: ast.AST) -> list[ast.AST]:
    parts: list[ast.AST] = [*getattr(node, "decorator_list", ())]
    if isinstance(node, ast.ClassDef):
        return [*parts, *node.bases, *node.keywords]
    assert isinstance(node, _FUNCTIONS)
    defaults = [*node.args.defaults, *node.args.kw_defaults]
    return [*parts, *(each for each in defaults if each is not None)]
