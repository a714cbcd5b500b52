"""Finds old names in the text of a program, without running it.

::

    scopes.py   what each name in the text means: ``tune.run`` is ray.tune.run, ``best`` a <Result>
       |
    scan.py     which of them are rows of the table, and where
       |
       +--> bodies.py             a trainable that is given to a run (its names are those of live
       |                          modules)
       +--> localtune migrate     a file
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from localtune.old_names.arguments import (
    CHECKPOINTS_OF_FUNCTION,
    EXTRA_KEYS,
    EXTRA_RESOURCES,
    OLD_RESUME,
    OLD_RESUME_FORM,
    REPORT,
    REPORT_NUMBER,
)
from localtune.old_names.calls import alternatives, is_number, reports_keywords
from localtune.old_names.rows.trainables import SAVED_PATH, TODAY
from localtune.old_names.scopes import (
    Outer,
    Scope,
    own_nodes,
    public_name,
)
from localtune.old_names.shapes import old_shapes, returned_path
from localtune.old_names.table import OLD_NAMES, ROWS
from localtune.old_names.unpacked import unpacked_arguments

JOINED = "os.path.join(checkpoint, file)"
FRAMES = "analysis.trial_dataframes[directory]"
BEST_OF = "analysis.get_best_checkpoint(directory)"
_REPORTS = ("tune.report", "session.report")
# Whose first argument is a trainable.
_TAKERS = {
    "tune.run",
    "Tuner",
    "tune.with_parameters",
    "tune.with_resources",
    "tune.register_trainable",
    "Experiment",
    "run_experiments",
}
# Keywords with which calls get their trainable.
_GIVEN_AS = ("run", "run_or_experiment", "trainable")
_ASKS_TO_SAVE = ("checkpoint_at_end", "checkpoint_freq")
_MODULES = {row.member: row.name for row in ROWS if row.kind == "module"}
# Attributes that no other library has, so the class of the object need not be known.
_UNMISTAKABLE = {
    row.member: row.name
    for row in ROWS
    if row.member in ("get_best_logdir", "best_logdir", "get_trial_checkpoints_paths")
}


@dataclass(frozen=True)
class OldUse:
    """One use of an old name.

    Attributes:
        name: Name in the table of old names.
        line: Line, from 1.
        column: Column, from 0.
        node: The expression or statement.
    """

    name: str
    line: int
    column: int
    node: ast.AST = field(compare=False, repr=False)


def find_old_uses(
    tree: ast.AST,
    outer: Outer = lambda name: None,
    *,
    likely: bool = False,
    certain: bool = False,
) -> list[OldUse]:
    """Finds the old names in a program, in the order of their lines.

    Only names are found whose meaning is certain: those that are imported from ``ray`` or
    ``localtune``, and the objects that their functions return.

    Args:
        tree: The program, or a part of it.
        outer: Tells the dotted name of what a name means that the program does not bind.
        likely: Whether attributes of unknown objects count, too, if their names say what they
            are: ``best_trial.checkpoint.value``.
        certain: Whether only those count that code of today never has: no attributes of unknown
            objects, and no code that chooses between the forms of several releases.

    Example:
        >>> text = "from ray import tune\\ntune.report(loss=1)"
        >>> [(use.name, use.line) for use in find_old_uses(ast.parse(text))]
        [('tune.report(loss=x)', 2)]
    """
    found = set(_Finder(outer, likely, certain).scan(tree, None))
    if certain and found:
        chosen = alternatives(tree)
        found = {use for use in found if id(use.node) not in chosen}
    return sorted(found, key=lambda use: (use.line, use.column))


class _Finder:
    """Walks through a program, one scope after the other."""

    def __init__(self, outer: Outer, likely: bool, certain: bool) -> None:
        self._outer = outer
        self._likely = likely
        self._certain = certain

    def scan(self, node: ast.AST, parent: Scope | None) -> Iterator[OldUse]:
        scope = Scope(node, parent, self._outer)
        inner: list[ast.AST] = []
        skipped: set[int] = set()
        for each in own_nodes(node):
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
                inner.append(each)
            if id(each) not in skipped:
                yield from self._of_node(each, scope, skipped)
            if isinstance(each, ast.Call):
                yield from self._of_trainable(each, scope)
            elif isinstance(each, ast.ClassDef):
                yield from self._of_class(each, scope)
        for each in inner:
            yield from self.scan(each, scope)

    def _of_node(self, node: ast.AST, scope: Scope, skipped: set[int]) -> Iterator[OldUse]:
        if isinstance(node, ast.Call):
            yield from _of_call(node, scope)
            # An entry may be there for one of several releases.
            if not self._certain:
                yield from _of_unpacked(node, scope)
        elif isinstance(node, ast.Attribute):
            name = _of_attribute(node, scope)
            if name is None and scope.meaning(node.value) is None:
                name = None if self._certain else _UNMISTAKABLE.get(node.attr)
                if name is None and self._likely:
                    name = _by_its_words(node)
            if name is not None:
                yield _use(name, node)
                # `tune.track.log` is one use, not also one of `tune.track`.
                part: ast.AST = node.value
                while isinstance(part, ast.Attribute):
                    skipped.add(id(part))
                    part = part.value
                skipped.add(id(part))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            name = _of_meaning(scope.meaning(node))
            if name is not None and OLD_NAMES[name].kind == "name":
                yield _use(name, node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (_use(name, node) for name in _of_import(node))
        elif isinstance(node, ast.Subscript):
            if scope.meaning(node.slice) == "<directory>" and _is_frames(node.value):
                yield _use(FRAMES, node)
        elif isinstance(node, ast.Dict) and not self._certain:
            keys = {each.value for each in node.keys if isinstance(each, ast.Constant)}
            if keys & EXTRA_KEYS:
                yield _use(EXTRA_RESOURCES, node)

    def _of_trainable(self, call: ast.Call, scope: Scope) -> Iterator[OldUse]:
        """Finds the old form of a function that is given to a run by its name."""
        taker = scope.meaning(call.func)
        public = public_name(taker) if taker else None
        if public not in _TAKERS:
            return
        bound = {each.arg for each in call.keywords if public == "tune.with_parameters"}
        for given in _given_trainables(call, public):
            function = self._function_of(given, scope, bound)
            if function is None:
                continue
            for name in old_shapes(function, bound):
                yield _use(name, function)
            for each in call.keywords if public == "tune.run" else ():
                if each.arg in _ASKS_TO_SAVE:
                    yield _use(CHECKPOINTS_OF_FUNCTION, each)

    def _function_of(
        self, given: ast.expr, scope: Scope, bound: set[str | None]
    ) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """Returns the function that a trainable is; adds the names of its bound arguments."""
        while isinstance(given, ast.Call) and given.args:
            inner = scope.meaning(given.func)
            if inner is not None and public_name(inner) in _TAKERS:
                return None  # It is found there.
            bound |= {each.arg for each in given.keywords}
            given = given.args[0]
        function = scope.function_named(given.id) if isinstance(given, ast.Name) else None
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return function
        return None

    def _of_class(self, node: ast.ClassDef, scope: Scope) -> Iterator[OldUse]:
        methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
        bases = [scope.meaning(each) for each in node.bases]
        publics = {public_name(each) for each in bases if each is not None}
        if not publics & {"Trainable", "tune.DurableTrainable"}:
            return
        if "_train" in methods and "step" not in methods:
            for old in TODAY:
                if old in methods:
                    yield _use(f"Trainable.{old}", methods[old])
        # Beside a step(), nothing but the class itself calls `_save`.
        for each in ("save_checkpoint", *(() if "step" in methods else ("_save",))):
            if each in methods and (returned := returned_path(methods[each])) is not None:
                yield _use(SAVED_PATH, returned)


def _given_trainables(call: ast.Call, public: str) -> list[ast.expr]:
    """Returns what a call gets as trainables: one, but several experiments as dictionaries."""
    if public == "run_experiments":
        specs = [each for given in call.args[:1] for each in getattr(given, "values", ())]
        pairs = [
            pair
            for spec in specs
            if isinstance(spec, ast.Dict)
            for pair in zip(spec.keys, spec.values, strict=True)
        ]
        return [value for key, value in pairs if getattr(key, "value", None) == "run"]
    if public != "tune.with_parameters":
        named = [each.value for each in call.keywords if each.arg in _GIVEN_AS]
        if named:
            return named
    is_second = public in ("tune.register_trainable", "Experiment")
    return call.args[-1:] if is_second else call.args[:1]


def _use(name: str, node: ast.AST) -> OldUse:
    return OldUse(name, getattr(node, "lineno", 1), getattr(node, "col_offset", 0), node)


def _of_call(call: ast.Call, scope: Scope) -> Iterator[OldUse]:
    called = scope.meaning(call.func)
    if called is None:
        return
    if called in ("os.path.join", "os.fspath") and any(
        scope.meaning(each) == "<Checkpoint>" for each in call.args
    ):
        yield _use(JOINED, call)
    first = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "trial")]
    if called == "<ExperimentAnalysis>.get_best_checkpoint" and any(
        scope.meaning(each) == "<directory>" for each in first
    ):
        yield _use(BEST_OF, call)
    public = public_name(called)
    if public in _REPORTS:
        if reports_keywords(call, scope):
            yield _use(REPORT, call)
        elif call.args and is_number(call.args[0], scope):
            yield _use(REPORT_NUMBER, call)
    if public == "run_experiments":
        yield from _of_specs(call)
    owner = _OWNERS.get(public or "", public)
    for each in call.keywords:
        name = f"{owner}({each.arg}=)"
        if name in OLD_NAMES:
            yield _use(name, each)
        if public == "tune.run" and each.arg == "resume" and _is_old_resume(each.value):
            yield _use(OLD_RESUME_FORM, each)


def _of_unpacked(call: ast.Call, scope: Scope) -> Iterator[OldUse]:
    """Finds old arguments in the dictionaries that a call unpacks."""
    called = scope.meaning(call.func)
    public = public_name(called) if called is not None else None
    owner = _OWNERS.get(public or "", public)
    for argument, node in unpacked_arguments(call, scope):
        name = f"{owner}({argument}=)"
        if name in OLD_NAMES:
            yield _use(name, node)


def _of_attribute(node: ast.Attribute, scope: Scope) -> str | None:
    base = scope.meaning(node.value)
    if base is None:
        return None
    if base.startswith("<"):
        name = f"{base[1:-1]}.{node.attr}"
        return name if name in OLD_NAMES else None
    if public_name(base) == "Checkpoint" and f"Checkpoint.{node.attr}" in OLD_NAMES:
        return f"Checkpoint.{node.attr}"
    return _of_meaning(f"{base}.{node.attr}")


def _by_its_words(node: ast.Attribute) -> str | None:
    """Returns the row of an attribute of an unknown object, from how the object is called."""
    base = node.value
    word = str(getattr(base, "attr", getattr(base, "id", "")))
    if isinstance(base, ast.Attribute) and base.attr == "checkpoint":
        return f"Checkpoint.{node.attr}" if node.attr in ("value", "dir_or_data") else None
    if node.attr == "log_dir" and "result" in word:
        return "Result.log_dir"
    if node.attr in ("logdir", "local_dir") and "trial" in word:
        return f"Trial.{node.attr}"
    return None


def _of_meaning(dotted: str | None) -> str | None:
    """Returns the row of a name of a module, or of a module of localtune that does not exist."""
    if dotted is None:
        return None
    public = public_name(dotted)
    if public in OLD_NAMES and OLD_NAMES[public].kind == "name":
        return public
    package, _, below = dotted.partition(".")
    return _MODULES.get(below) if package == "localtune" else None


def _of_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        dotted = [each.name for each in node.names]
    elif node.level:
        return
    else:
        dotted = [f"{node.module}.{each.name}" for each in node.names]
    for each in dotted:
        name = _of_meaning(each)
        package, _, below = each.partition(".")
        while name is None and package == "localtune" and below:
            name = _MODULES.get(below)
            below = below.rpartition(".")[0]
        if name is not None:
            yield name


def _of_specs(call: ast.Call) -> Iterator[OldUse]:
    """Finds the old entries of experiments that are written as dictionaries in the call."""
    for specs in [*call.args[:1], *(each.value for each in call.keywords)]:
        for spec in specs.values if isinstance(specs, ast.Dict) else ():
            for key in spec.keys if isinstance(spec, ast.Dict) else ():
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    name = f"Experiment({key.value}=)"
                    yield from [_use(name, key)] if name in OLD_NAMES else []


def _is_frames(node: ast.expr) -> bool:
    """Tells whether an expression is ``analysis.trial_dataframes``, or the old name for it."""
    if isinstance(node, ast.Call):
        node = node.func
    names = ("trial_dataframes", "fetch_trial_dataframes", "get_all_configs")
    return isinstance(node, ast.Attribute) and node.attr in names


def _is_old_resume(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in OLD_RESUME


_SEARCHERS = (
    "AxSearch",
    "BayesOptSearch",
    "HyperOptSearch",
    "NevergradSearch",
    "OptunaSearch",
    "TuneBOHB",
    "ZOOptSearch",
)
_SCHEDULERS = (
    "ASHAScheduler",
    "AsyncHyperBandScheduler",
    "HyperBandScheduler",
    "HyperBandForBOHB",
    "MedianStoppingRule",
    "PopulationBasedTraining",
    "PB2",
)
# {class: owner of its old arguments in the table}
_OWNERS = {
    "utils.validate_save_restore": "validate_save_restore",
    "util.validate_save_restore": "validate_save_restore",
    **dict.fromkeys(_SEARCHERS, "Searcher"),
    **dict.fromkeys(_SCHEDULERS, "TrialScheduler"),
}
