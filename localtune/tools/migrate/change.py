"""Changes a script until nothing of Ray is left in it that can be changed.

::

    text --> Script --> changes of old names, of `ray.init()`, of `air.RunConfig` --+
      ^                    if there are none: changes of imports                    |
      |                       if there are none: done                               |
      +---- those of them that do not touch each other <----------------------------+
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from localtune.error import LocaltuneInternalError
from localtune.old_names.scan import find_old_uses
from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate.imports import (
    dotted_uses,
    imported_from_today,
    is_left,
    old_imports,
    reference,
    replacements,
    stands_for,
)
from localtune.tools.migrate.ray_calls import advice_at, advice_for_import, needs_ray, removal
from localtune.tools.migrate.ray_starts import REMOVE
from localtune.tools.migrate.rewriters import rewritten
from localtune.tools.migrate.script import Change, Script, Target
from localtune.tools.migrate.source import Edit, Source, applied, place_before

# Each round makes at least one change; a script has fewer names than this.
_MAX_ROUNDS = 10_000
_NOTHING = "localtune has no such name"
_WRITE_TUNE = "write import localtune as tune"
_NOTHING_IN_PLACE = "nothing in its place"
_LAST = "remove it, once no use of ray is left"


@dataclass(frozen=True)
class Finding:
    """One place of a script that has to change.

    Attributes:
        line: Number of the line, from 1.
        column: Number of the column, from 1.
        name: The old name, or the part of Ray.
        advice: What to do.
        line_before: Number of the line before the change of the script.
    """

    line: int
    column: int
    name: str
    advice: str
    line_before: int = field(default=0, compare=False)


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
    steps: list[tuple[Source, list[Edit]]] = []
    for _ in range(_MAX_ROUNDS):
        chosen = _apart(_changes(script)) or _apart(_import_changes(script))
        if not chosen:
            return script.source.text, [_traced(steps, script, each) for each in _findings(script)]
        edits = [edit for each in chosen for edit in each.edits]
        steps.append((script.source, edits))
        try:
            script = Script(applied(script.source, edits))
        except SyntaxError as error:
            raise LocaltuneInternalError(
                f"The change of a script is no Python: {error}. The script has not been changed."
            ) from error
    raise LocaltuneInternalError("The changes of a script do not come to an end.")


def _traced(
    steps: Sequence[tuple[Source, list[Edit]]], script: Script, finding: Finding
) -> Finding:
    """Adds the line in which a finding was before all steps."""
    if not steps:
        return finding
    place = script.source.offset(finding.line, 0) + finding.column - 1
    for source, edits in reversed(steps):
        place = place_before(source, edits, place)
    return replace(finding, line_before=steps[0][0].line_number(place))


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
        _note(script, found, use.node, use.name, _advice_of_row(use.name))
    seen = {id(use.node) for use in old}
    for origin, node in dotted_uses(script):
        if id(node) not in seen and is_left(script, origin, node):
            advice = advice_at(script, origin, node)
            _note(script, found, node, origin, advice or _NOTHING)
    for statement in old_imports(script):
        names = ", ".join(each.name for each in statement.names)
        module = getattr(statement, "module", None)
        name = f"from {module} import {names}" if module else f"import {names}"
        _note(script, found, statement, name, _advice_for_import(script, statement))
    for place, name, advice in needs_ray(script):
        _note(script, found, place, name, advice)
    return sorted(found.values(), key=lambda each: (each.line, each.column, each.name))


def _advice_of_row(name: str) -> str:
    write = OLD_NAMES[name].write
    return (
        write.replace(_NOTHING_IN_PLACE, REMOVE) if _NOTHING_IN_PLACE in write else f"write {write}"
    )


def _advice_for_import(script: Script, statement: ast.Import | ast.ImportFrom) -> str:
    """What to write in the place of an import; and what about the names that have no place."""
    texts, rest = replacements(script, statement)
    said = [f"write {each}" for each in texts]
    for origin in rest:
        if isinstance(statement, ast.Import):
            said.append(_WRITE_TUNE if _has_places(script, statement) else _LAST)
        else:
            place = _WRITE_TUNE if stands_for(origin) else _NOTHING
            said.append(advice_for_import(origin) or place)
    return "; ".join(dict.fromkeys(said)) or REMOVE


def _has_places(script: Script, statement: ast.Import) -> bool:
    """Whether some uses of ``import ray`` have a place in localtune."""
    scope = script.scope_at(statement)
    return any(
        scope.binder("ray") is script.scope_at(node).binder("ray")
        and not is_left(script, origin, node)
        for origin, node in dotted_uses(script)
        if origin.partition(".")[0] == "ray" and script.text_of(node).partition(".")[0] == "ray"
    )


def _note(
    script: Script, found: dict[tuple[int, str], Finding], node: ast.AST, name: str, advice: str
) -> None:
    line = getattr(node, "lineno", 1)
    start = script.source.span(node).start if hasattr(node, "lineno") else 0
    column = start - script.source.line_start(start) + 1
    found.setdefault((line, name), Finding(line, column, name, advice, line))
