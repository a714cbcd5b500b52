"""Reads what the modules of the package import, and runs none of them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.architecture.layers import PACKAGE


class When(Enum):
    """When an import happens."""

    LOADING = "while the module is loaded"
    LATER = "inside a function"
    NEVER = "for type checkers only"


@dataclass(frozen=True)
class Import:
    """One import.

    Attributes:
        importer: Dotted name of the module that holds it.
        line: Its line there.
        target: Dotted name of the module that is imported.
        when: When it happens.
    """

    importer: str
    line: int
    target: str
    when: When

    @property
    def at_top(self) -> bool:
        """Whether it happens while the importer is loaded."""
        return self.when is When.LOADING

    @property
    def root(self) -> str:
        """First part of the target's name."""
        return self.target.partition(".")[0]

    @property
    def is_own(self) -> bool:
        """Whether the target is a module of this package."""
        return self.root == PACKAGE

    @property
    def is_third_party(self) -> bool:
        """Whether the target is neither of this package nor of the standard library."""
        # Python 3.10 does not know that 3.11 has it.
        return not self.is_own and self.root not in {*sys.stdlib_module_names, "tomllib"}

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.target} {self.when.value}"


def read_imports(modules: dict[str, Path]) -> list[Import]:
    """Reads all imports of some modules.

    Args:
        modules: Dotted name and file of each module.
    """
    return [
        found
        for module, path in modules.items()
        for found in _imports_in(
            ast.parse(path.read_text(encoding="utf-8"), str(path)).body,
            module,
            module if path.name == "__init__.py" else module.rpartition(".")[0],
            modules.keys(),
            When.LOADING,
        )
    ]


def _imports_in(
    nodes: Iterable[ast.AST], module: str, package: str, known: Iterable[str], when: When
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, when)
        elif isinstance(node, ast.ImportFrom):
            for target in _targets_of_from(node, package, known):
                yield Import(module, node.lineno, target, when)
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _imports_in(node.body, module, package, known, When.NEVER)
            yield from _imports_in(node.orelse, module, package, known, when)
        else:
            inner = when
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if is_function and when is When.LOADING:
                inner = When.LATER
            yield from _imports_in(ast.iter_child_nodes(node), module, package, known, inner)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Finds the sets of modules that import each other, directly or through others.

    The algorithm is that of R. Tarjan, "Depth-first search and linear graph algorithms", SIAM
    Journal on Computing 1 (1972), 146-160.

    Args:
        graph: {module: modules that it imports}.

    Returns:
        The strongly connected components of more than one module, each sorted.

    Example:
        >>> circles({"a": {"b"}, "b": {"a", "c"}, "c": set()})
        [['a', 'b']]
    """
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], index[other])
        if lowest[module] == index[module]:
            place = stack.index(module)
            component = sorted(stack[place:])
            del stack[place:]
            if len(component) > 1:
                found.append(component)

    for module in graph:
        if module not in index:
            visit(module)
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _targets_of_from(node: ast.ImportFrom, package: str, known: Iterable[str]) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
    for alias in node.names:
        submodule = f"{base}.{alias.name}"
        yield submodule if submodule in known else base
