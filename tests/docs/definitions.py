"""The public definitions in the source of localtune, with their docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import localtune

_PACKAGE = Path(localtune.__file__).parent
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A public module, class, function or method.

    Attributes:
        name: Its place in the source and its name.
        docstring: None without one.
        arguments: Names of its arguments, without ``self``, ``cls`` and ``**keywords``.
        is_override: Whether it is a method that a base class in localtune has, too.
    """

    name: str
    docstring: str | None
    arguments: tuple[str, ...] = ()
    is_override: bool = False


@cache
def definitions() -> tuple[Definition, ...]:
    """All public definitions of the package. Those within functions are left out."""
    return tuple(_definitions())


def _definitions() -> Iterator[Definition]:
    paths = sorted(_PACKAGE.rglob("*.py"))
    sources = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    classes = {
        node.name: node
        for tree in sources.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    for path, tree in sources.items():
        place = str(path.relative_to(_PACKAGE.parent))
        if not path.stem.startswith("_") or path.stem == "__init__":
            yield Definition(place, ast.get_docstring(tree))
            yield from _definitions_in(tree, place, classes)


def _definitions_in(
    parent: ast.Module | ast.ClassDef, place: str, classes: dict[str, ast.ClassDef]
) -> Iterator[Definition]:
    inherited = _inherited(parent, classes) if isinstance(parent, ast.ClassDef) else set()
    for node in parent.body:
        if not isinstance(node, _Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        name = f"{place}:{node.lineno} {node.name}"
        if isinstance(node, ast.ClassDef):
            yield Definition(name, ast.get_docstring(node))
            yield from _definitions_in(node, place, classes)
        else:
            arguments, docstring = _arguments_of(node), ast.get_docstring(node)
            yield Definition(name, docstring, arguments, node.name in inherited)


def _inherited(cls: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Names of the methods of all base classes that the package defines."""
    found: set[str] = set()
    for base in cls.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        if name in classes and name != cls.name:
            base_class = classes[name]
            found |= {each.name for each in base_class.body if isinstance(each, _Function)}
            found |= _inherited(base_class, classes)
    return found


def _arguments_of(function: _Function) -> tuple[str, ...]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs]
    names = [each.arg for each in every if each is not None]
    return tuple(name for name in names if name not in ("self", "cls"))
