"""Changes of imports, and of names that are read from imported modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from localtune.old_names.scopes import PACKAGES
from localtune.tools.migrate.edits import replaced
from localtune.tools.migrate.script import Change, Script
from localtune.tools.migrate.source import Edit
from localtune.tools.migrate.today import exists, is_module, today

Import = ast.Import | ast.ImportFrom
# Ray's copy of another package.
_CLOUDPICKLE = "ray.cloudpickle"
# Modules whose names have places of their own in localtune.
_FACES = {"ray.air", "ray.train", "ray.air.session", "ray.train.session", "ray.tune.track"}
# A longer line gets one name per line.
_WIDTH = 88


def dotted_uses(script: Script) -> Iterator[tuple[str, ast.expr]]:
    """Yields the origin and the node of each name of Ray or localtune; the longest at each place.

    Args:
        script: The script.
    """
    for node in ast.walk(script.source.tree):
        if not isinstance(node, (ast.Name, ast.Attribute)) or isinstance(node.ctx, ast.Store):
            continue
        if isinstance(script.parent(node), ast.Attribute):
            continue
        origin = script.origin(node)
        if origin is not None and origin.partition(".")[0] in PACKAGES:
            yield origin, node


def reference(script: Script, origin: str, node: ast.expr) -> Change | None:
    """Returns the change of a name whose module has another place in localtune, or none.

    Args:
        script: The script.
        origin: Dotted name of what is used.
        node: Where.
    """
    new = _new_name(script, origin, node)
    if new is None or not script.source.is_in_place(node):
        return None
    known = script.tune_at(node)
    if known is None:
        return None
    name, imported = known
    text = name + new.removeprefix("localtune")
    if text == script.text_of(node):
        return None
    edits = replaced(script.source, node, text)
    return Change(edits).with_also(imported)


def _new_name(script: Script, origin: str, node: ast.expr) -> str | None:
    """The dotted name in localtune, if it is not just that of the import with another prefix."""
    bound = _import_of(script, node)
    if bound is None:
        return None
    target = today(bound)
    if target is not None and exists(target + origin.removeprefix(bound)):
        return None
    prefix = origin
    while len(prefix) > len(bound):
        found = today(prefix)
        if found is not None:
            return found + origin.removeprefix(prefix)
        prefix = prefix.rpartition(".")[0]
    return None


def _import_of(script: Script, node: ast.expr) -> str | None:
    """What the first name of a dotted one was imported as."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    binder = script.scope_at(node).binder(node.id)
    return binder.imports.get(node.id) if binder else None


def is_left(script: Script, origin: str, node: ast.expr) -> bool:
    """Returns whether a name of Ray has no place in localtune.

    Args:
        script: The script.
        origin: Dotted name of what is used.
        node: Where.
    """
    bound = _import_of(script, node)
    if bound is None or origin.partition(".")[0] != "ray":
        return False
    prefix = origin
    while len(prefix) >= len(bound):
        if today(prefix) is not None:
            return False
        prefix = prefix.rpartition(".")[0]
    return True


def stands_for(origin: str) -> bool:
    """Returns whether what is imported has a place in localtune, or its uses have one.

    Args:
        origin: Its dotted name.
    """
    return today(origin) is not None or origin in _FACES


def old_imports(script: Script) -> list[Import]:
    """Returns the statements that import something of Ray, or of an old module of localtune.

    Args:
        script: The script.
    """
    return [
        node
        for node in ast.walk(script.source.tree)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and any(map(_is_old, _origins(node)))
    ]


def _origins(statement: Import) -> list[str]:
    if isinstance(statement, ast.Import):
        return [each.name for each in statement.names]
    if statement.level or not statement.module:
        return []
    return [f"{statement.module}.{each.name}" for each in statement.names]


def _is_old(origin: str) -> bool:
    root = origin.partition(".")[0]
    if root == "localtune" and not origin.endswith(".*"):
        return not exists(origin)
    return root == "ray"


def imported_from_today(script: Script, statement: Import) -> Change | None:
    """Returns the change of an import, None if nothing of it can change.

    Args:
        script: The script.
        statement: One of :func:`old_imports`.
    """
    lines = _Lines()
    is_renamed_only = isinstance(statement, ast.ImportFrom)
    for alias, origin in zip(statement.names, _origins(statement), strict=True):
        target = _target_of(statement, alias, origin)
        if target is not None:
            as_module = isinstance(statement, ast.Import)
            lines.add(target, alias.asname or alias.name, as_module=as_module)
            is_renamed_only &= target.rpartition(".")[2] == alias.name
        else:
            is_renamed_only = False
            if _is_needed(script, statement, alias, origin):
                lines.keep(statement, alias)
            else:
                lines.are_changed = True
    texts = lines.texts()
    if not texts:
        return script.without(statement)
    if not lines.are_changed:
        return None
    if is_renamed_only and len(texts) == 1 and lines.module:
        return Change(_with_module(script, statement, lines.module))
    indent = script.source.indentation(statement)
    is_alone = script.source.begins_line(script.source.span(statement).start)
    separator = f"\n{indent}" if is_alone else "; "
    return Change(replaced(script.source, statement, separator.join(texts)))


def replacements(script: Script, statement: Import) -> tuple[list[str], list[str]]:
    """Returns the imports that take the place of one, and what of it has no place in localtune.

    Args:
        script: The script.
        statement: One of :func:`old_imports`.

    Returns:
        Statements; and the dotted names of the rest, as far as they are used.
    """
    lines, rest = _Lines(), []
    for alias, origin in zip(statement.names, _origins(statement), strict=True):
        target = _target_of(statement, alias, origin)
        if target is not None:
            as_module = isinstance(statement, ast.Import)
            lines.add(target, alias.asname or alias.name, as_module=as_module)
        elif _is_old(origin) and _is_needed(script, statement, alias, origin):
            rest.append(origin)
    return lines.texts(width=None), rest


def _target_of(statement: Import, alias: ast.alias, origin: str) -> str | None:
    """The dotted name, in localtune or another package, of what is imported."""
    if alias.name == "*":
        module = today(str(getattr(statement, "module", "")))
        return f"{module}.*" if module else None
    if isinstance(statement, ast.Import) and alias.asname is None:
        return None  # It binds `ray`, which is there no more.
    if origin == _CLOUDPICKLE or origin.startswith(f"{_CLOUDPICKLE}."):
        return origin.removeprefix("ray.")
    return today(origin)


def _is_needed(script: Script, statement: Import, alias: ast.alias, origin: str) -> bool:
    if not _is_old(origin):
        return True
    name = alias.asname or (
        alias.name.partition(".")[0] if isinstance(statement, ast.Import) else alias.name
    )
    return alias.name == "*" or script.is_used(name, script.scope_at(statement))


class _Lines:
    """The import statements that take the place of one."""

    def __init__(self) -> None:
        self.are_changed = False
        self.module = ""
        # {module: names to import from it}; "" for whole modules.
        self._names: dict[str, list[str]] = {}

    def add(self, target: str, bound: str, *, as_module: bool) -> None:
        """Adds the import of a name.

        Args:
            target: Dotted name in localtune.
            bound: Name in the script.
            as_module: Whether it is imported without ``from``.
        """
        self.are_changed = True
        self.module, _, last = target.rpartition(".")
        if not self.module or (as_module and is_module(target)):
            text = target if bound == target else f"{target} as {bound}"
            self._names.setdefault("", []).append(f"import {text}")
            return
        name = last if last == bound or last == "*" else f"{last} as {bound}"
        self._names.setdefault(self.module, []).append(name)

    def keep(self, statement: Import, alias: ast.alias) -> None:
        """Keeps the import of a name as it is.

        Args:
            statement: The statement.
            alias: The name.
        """
        text = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
        if isinstance(statement, ast.Import):
            self._names.setdefault("", []).append(f"import {text}")
        else:
            self._names.setdefault(str(statement.module), []).append(text)

    def texts(self, width: int | None = _WIDTH) -> list[str]:
        """Returns the statements.

        Args:
            width: A longer line gets one name per line; None leaves each in one line.
        """
        texts = list(self._names.get("", ()))
        for module, names in self._names.items():
            if module:
                text = f"from {module} import {', '.join(names)}"
                if width is not None and len(text) > width:
                    lines = "".join(f"    {each},\n" for each in names)
                    text = f"from {module} import (\n{lines})"
                texts.append(text)
        return texts


def _with_module(script: Script, statement: Import, module: str) -> list[Edit]:
    """Gives a ``from`` statement another module, and leaves its names as they are."""
    start = script.source.span(statement).start
    words = [each for each in script.source.tokens if each.start >= start]
    last = next(number for number, each in enumerate(words) if each.string == "import")
    return [Edit(words[1].start, words[last - 1].end, module)]
