"""Changes a script until nothing of Ray is left in it that can be changed.

::

    text --> Script --> changes of old names, of `ray.init()`, of `air.RunConfig` --+
      ^                    if there are none: changes of imports                    |
      |                       if there are none: done                               |
      +---- those of them that do not touch each other <----------------------------+
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from localtune.error import LocaltuneInternalError
from localtune.old_names.scan import find_old_uses
from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate.imports import (
    dotted_uses,
    imported_from_today,
    is_left,
    old_imports,
    reference,
    stands_for,
)
from localtune.tools.migrate.ray_calls import advice_for, needs_ray, removal
from localtune.tools.migrate.rewriters import rewritten
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit, applied

# Each round makes at least one change; a script has fewer names than this.
_MAX_ROUNDS = 10_000
_NOTHING = "localtune has no such name"


@dataclass(frozen=True)
class Finding:
    """One place of a script that has to change.

    Attributes:
        line: Number of the line, from 1.
        column: Number of the column, from 1.
        name: The old name, or the part of Ray.
        advice: What to do.
    """

    line: int
    column: int
    name: str
    advice: str


def findings(text: str) -> list[Finding]:
    """Returns what a script uses of Ray, and of old names.

    Args:
        text: The script.

    Returns:
        In the order of the script.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: if it has null characters.
    """
    return _findings(Script(text))


def migrated(text: str) -> tuple[str, list[Finding]]:
    """Changes a script.

    Args:
        text: The script.

    Returns:
        The changed script, and what is left in it to change by hand.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: if it has null characters.
    """
    script = Script(text)
    for _ in range(_MAX_ROUNDS):
        chosen = _apart(_changes(script)) or _apart(_import_changes(script))
        if not chosen:
            return script.source.text, _findings(script)
        changed = applied(script.source, [edit for each in chosen for edit in each.edits])
        try:
            script = Script(changed)
        except SyntaxError as error:
            raise LocaltuneInternalError(
                f"The change of a script is no Python: {error}. The script has not been changed."
            ) from error
    raise LocaltuneInternalError("The changes of a script do not come to an end.")


def _changes(script: Script) -> Iterator[Change]:
    old = find_old_uses(script.source.tree, likely=script.is_for_ray())
    for use in old:
        change = rewritten(Target(script, use))
        if change is not None:
            yield change
    seen = {id(use.node) for use in old}
    for origin, node in dotted_uses(script):
        if id(node) not in seen:
            change = removal(script, origin, node) or reference(script, origin, node)
            if change is not None:
                yield change


def _import_changes(script: Script) -> Iterator[Change]:
    for statement in old_imports(script):
        change = imported_from_today(script, statement)
        if change is not None:
            yield change


def _apart(changes: Iterable[Change]) -> list[Change]:
    """Those changes that do not touch an earlier one."""
    chosen: list[Change] = []
    taken: list[Edit] = []
    locks: set[str] = set()
    for each in changes:
        if not locks.isdisjoint(each.locks) or any(_touch(a, b) for a in each.edits for b in taken):
            continue
        chosen.append(each)
        taken += each.edits
        locks |= each.locks
    return chosen


def _touch(one: Edit, other: Edit) -> bool:
    return one.start <= other.end and other.start <= one.end


def _findings(script: Script) -> list[Finding]:
    found: dict[tuple[int, str], Finding] = {}
    old = find_old_uses(script.source.tree, likely=script.is_for_ray())
    for use in old:
        _note(script, found, use.node, use.name, f"write {OLD_NAMES[use.name].write}")
    seen = {id(use.node) for use in old}
    for origin, node in dotted_uses(script):
        if id(node) not in seen and is_left(script, origin, node):
            advice = advice_for(origin)
            _note(script, found, node, origin, advice or _NOTHING)
    for statement in old_imports(script):
        names = ", ".join(each.name for each in statement.names)
        module = getattr(statement, "module", None)
        name = f"from {module} import {names}" if module else f"import {names}"
        _note(script, found, statement, name, _advice_for_import(statement))
    for place, name, advice in needs_ray(script):
        _note(script, found, place, name, advice)
    return sorted(found.values(), key=lambda each: (each.line, each.column, each.name))


def _advice_for_import(statement: ast.Import | ast.ImportFrom) -> str:
    module = getattr(statement, "module", None)
    names = [f"{module}.{each.name}" if module else each.name for each in statement.names]
    advice = next((text for each in names if (text := advice_for(each))), None)
    if advice is None and module and not any(map(stands_for, names)):
        return _NOTHING
    return advice or "write import localtune as tune"


def _note(
    script: Script, found: dict[tuple[int, str], Finding], node: ast.AST, name: str, advice: str
) -> None:
    line = getattr(node, "lineno", 1)
    start = script.source.span(node).start if hasattr(node, "lineno") else 0
    column = start - script.source.line_start(start) + 1
    found.setdefault((line, name), Finding(line, column, name, advice))
