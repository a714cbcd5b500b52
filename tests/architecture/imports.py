"""Reads, without running anything, what the modules of the package import."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.layers import PACKAGE


@dataclass(frozen=True)
class Import:
    """One import, as far as it happens at run time.

    Attributes:
        importer: Dotted name of the module that holds it.
        line: Its line there.
        target: Dotted name of the module that is imported.
        at_top: Whether it happens while the importer is loaded, not later inside a function.
    """

    importer: str
    line: int
    target: str
    at_top: bool

    @property
    def root(self) -> str:
        """First part of the target's name."""
        return self.target.partition(".")[0]

    @property
    def is_own(self) -> bool:
        return self.root == PACKAGE

    @property
    def is_third_party(self) -> bool:
        # Python 3.10 does not know that 3.11 has it.
        return not self.is_own and self.root not in {*sys.stdlib_module_names, "tomllib"}

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.target}"


def read_imports(modules: dict[str, Path]) -> list[Import]:
    """All imports of some modules but those for type checkers only.

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
            at_top=True,
        )
    ]


def _imports_in(
    nodes: Iterable[ast.AST], module: str, package: str, known: Iterable[str], *, at_top: bool
) -> Iterator[Import]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name, at_top)
        elif isinstance(node, ast.ImportFrom):
            for target in _targets_of_from(node, package, known):
                yield Import(module, node.lineno, target, at_top)
        else:
            children: Iterable[ast.AST] = ast.iter_child_nodes(node)
            if isinstance(node, ast.If) and _is_type_checking(node.test):
                children = node.orelse
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports_in(
                children, module, package, known, at_top=at_top and not is_function
            )


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
