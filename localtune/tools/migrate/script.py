"""A script while it is changed: its text, its names, and what it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from localtune.old_names.scan import OldUse
from localtune.old_names.scopes import PACKAGES, Scope, own_nodes, public_name
from localtune.tools.migrate.edits import body_of, new_line_before, with_import, without_statement
from localtune.tools.migrate.source import Edit, Source

# Names for the module localtune, in the order in which they are tried.
_TUNE_NAMES = ("tune", "localtune")
# What these names are imported from.
_TUNE = ("ray.tune", "localtune")
_OPENS_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True)
class Change:
    """Edits that belong together.

    Attributes:
        edits: The edits; they do not overlap.
        locks: Two changes with a lock in common are not made at once: both would add the same
            import, or empty the same body.
    """

    edits: Sequence[Edit]
    locks: frozenset[str] = field(default_factory=frozenset)

    def with_also(self, other: Change) -> Change:
        """Returns both changes as one.

        Args:
            other: Another change.
        """
        return Change([*self.edits, *other.edits], self.locks | other.locks)


NOTHING = Change(())


class Target(NamedTuple):
    """An old name that is to be changed.

    Attributes:
        script: The script.
        use: Where the name is used.
    """

    script: Script
    use: OldUse


class Script:
    """A script at one point of its change.

    Args:
        text: Its text.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: if it has null characters.
    """

    def __init__(self, text: str) -> None:
        self.source = Source(text)
        self.module = Scope(self.source.tree, None, lambda name: None)
        self._parents: dict[int, ast.AST] = {}
        self._scopes: dict[int, Scope] = {}
        for node in ast.walk(self.source.tree):
            for child in ast.iter_child_nodes(node):
                self._parents[id(child)] = node
        self._visit(self.module)
        self._names_of_tune = {
            name: None
            for scope in self._scopes.values()
            for name, origin in scope.imports.items()
            if origin in _TUNE
        }

    def _visit(self, scope: Scope) -> None:
        """Notes the scope of each node."""
        self._scopes[id(scope.node)] = scope
        for each in own_nodes(scope.node):
            self._scopes[id(each)] = scope
            if isinstance(each, _OPENS_SCOPE):
                self._visit(Scope(each, scope, scope.outer))
                # A decorator or a default that names a function stands in the scope around it.
                self._scopes[id(each)] = scope

    def is_for_ray(self) -> bool:
        """Returns whether the script imports Ray, or localtune, anywhere."""
        return any(
            origin.partition(".")[0] in PACKAGES
            for scope in self._scopes.values()
            for origin in scope.imports.values()
        )

    def parent(self, node: ast.AST | None) -> ast.AST | None:
        """Returns the node around a node."""
        return self._parents.get(id(node))

    def enclosing(self, node: ast.AST, *kinds: type[ast.AST]) -> ast.AST | None:
        """Returns the innermost node of some kinds around a node.

        Args:
            node: The node; it does not count itself.
            kinds: Classes of nodes.
        """
        around = self.parent(node)
        while around is not None and not isinstance(around, kinds):
            around = self.parent(around)
        return around

    def origin(self, node: ast.AST) -> str | None:
        """Returns the dotted name under which a value was imported, None for all others."""
        meaning = self.scope_at(node).meaning(node)
        return None if meaning is None or meaning.startswith("<") else meaning

    def is_report(self, node: ast.AST) -> bool:
        """Returns whether a node is a call of ``report``, by any of its names."""
        if not isinstance(node, ast.Call):
            return False
        origin = self.origin(node.func)
        return origin is not None and public_name(origin) in ("tune.report", "session.report")

    def text_of(self, node: ast.AST) -> str:
        """Returns the text of a node."""
        return self.source.segment(node)

    def scope_at(self, node: ast.AST) -> Scope:
        """Returns the scope in which a node stands."""
        around: ast.AST | None = node
        while around is not None and id(around) not in self._scopes:
            around = self.parent(around)
        return self.module if around is None else self._scopes[id(around)]

    def tune_at(self, node: ast.AST) -> tuple[str, Change] | None:
        """Returns a name of the module ``localtune`` at a node, and what makes it known there.

        Args:
            node: A node.

        Returns:
            None if all names for it mean something else there.
        """
        scope = self.scope_at(node)
        for name in self._names_of_tune:
            binder = scope.binder(name)
            if binder is not None and binder.imports.get(name) in _TUNE:
                return name, NOTHING
        free = [each for each in _TUNE_NAMES if self._is_free(scope, each)]
        if not free:
            return None
        line = "import localtune as tune" if free[0] == "tune" else "import localtune"
        return free[0], Change(self._beside_ray(line), frozenset({"import localtune"}))

    def _beside_ray(self, line: str) -> list[Edit]:
        """Adds an import where the script first imports something of Ray."""
        for statement in self.source.tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)) and imports_ray(statement):
                return new_line_before(self.source, statement, line)
        return with_import(self.source, line)

    def with_module(self, name: str, node: ast.AST) -> Change | None:
        """Makes a module of the standard library known at a node.

        Args:
            name: Name of the module, without dots.
            node: The node.

        Returns:
            None if the name means something else there.
        """
        scope = self.scope_at(node)
        binder = scope.binder(name)
        if binder is not None and binder.imports.get(name) == name:
            return NOTHING
        if not self._is_free(scope, name):
            return None
        return Change(with_import(self.source, f"import {name}"), frozenset({f"import {name}"}))

    def _is_free(self, scope: Scope, name: str) -> bool:
        """Whether a name has no meaning in a scope, and in the module."""
        return scope.binder(name) is None and self.module.binder(name) is None

    def body_of(self, statement: ast.stmt) -> list[ast.stmt]:
        """Returns the statements among which a statement stands."""
        return body_of(self._parents[id(statement)], statement)

    def without(self, statement: ast.stmt) -> Change:
        """Removes a statement.

        Args:
            statement: The statement.
        """
        body = self.body_of(statement)
        edits = without_statement(self.source, statement, body)
        return Change(edits, frozenset({f"body {self.source.span(body[0])}"}))

    def statement_of(self, node: ast.AST) -> ast.stmt:
        """Returns the statement in which a node stands."""
        around: ast.AST = node
        while not isinstance(around, ast.stmt):
            around = self._parents[id(around)]
        return around

    def is_used(self, name: str, scope: Scope) -> bool:
        """Returns whether a name of a scope is read anywhere.

        Args:
            name: The name.
            scope: The scope that binds it.
        """
        if any(re.search(rf"\b{name}\b", each) for each in self._quoted_annotations()):
            return True
        return bool(self.reads(name, scope))

    def reads(self, name: str, scope: Scope) -> list[ast.Name]:
        """Returns where a name of a scope is read or deleted.

        Args:
            name: The name.
            scope: The scope that binds it.
        """
        return [
            node
            for node in ast.walk(self.source.tree)
            if isinstance(node, ast.Name)
            and node.id == name
            and not isinstance(node.ctx, ast.Store)
            and self.scope_at(node).binder(name) is scope
        ]

    def _quoted_annotations(self) -> Iterator[str]:
        """Yields the types that are written as strings."""
        for node in ast.walk(self.source.tree):
            for name in ("annotation", "returns"):
                annotation = getattr(node, name, None)
                for each in ast.walk(annotation) if isinstance(annotation, ast.expr) else ():
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield each.value


def imports_ray(statement: ast.Import | ast.ImportFrom) -> bool:
    """Returns whether a statement imports something of Ray.

    Args:
        statement: An import.
    """
    if isinstance(statement, ast.ImportFrom):
        return not statement.level and str(statement.module).partition(".")[0] == "ray"
    return any(each.name.partition(".")[0] == "ray" for each in statement.names)
