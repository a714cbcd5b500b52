"""One file: what it uses, what it becomes, what is left to hand."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from localtune.tools.migrate import notebook
from localtune.tools.migrate.change import Finding, findings, migrated
from localtune.tools.migrate.files import STDIN, ScriptFile, UnreadableError


@dataclass(frozen=True)
class Migration:
    """What becomes of a file.

    Attributes:
        file: The file.
        text: Its new text.
        diff: The change, as a unified diff.
        uses: What it uses of Ray, and of old names.
        by_hand: What of it is left in the new text, with lines of that.
    """

    file: ScriptFile
    text: str
    diff: str
    uses: list[Place]
    by_hand: list[Place]

    @property
    def is_changed(self) -> bool:
        """Whether the new text is another one."""
        return self.text != self.file.text


@dataclass(frozen=True)
class Place:
    """A finding, with its place in the file.

    Attributes:
        finding: The finding; its line is the one in the cell, in a notebook.
        cell: Number of the cell, from 1; None in a script.
        is_by_hand: Whether a person has to change it.
    """

    finding: Finding
    cell: int | None
    is_by_hand: bool

    def text(self, path: str) -> str:
        """Returns one line about it.

        Args:
            path: Path of the file.
        """
        found = self.finding
        where = f"{path}:{found.line}" if self.cell is None else f"{path}:{self.cell}:{found.line}"
        return f"{where}: {found.name}: {found.advice}"

    def marked_text(self, path: str) -> str:
        """Returns one line about it, which also says whether a person has to change it.

        Args:
            path: Path of the file.
        """
        return f"{self.text(path)}{' (by hand)' if self.is_by_hand else ''}"


def migration_of(file: ScriptFile) -> Migration:
    """Finds out what becomes of a file.

    Args:
        file: The file.

    Raises:
        UnreadableError: if it is no Python.
    """
    try:
        return _of_notebook(file) if file.is_notebook else _of_script(file)
    except (SyntaxError, ValueError) as error:
        if isinstance(error, UnreadableError):
            raise
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UnreadableError(
            f"{file.path}{line} is not valid for Python 3: {message}. Make it valid first; for a "
            "script of Python 2, 2to3 does that."
        ) from error
    except RecursionError as error:
        raise UnreadableError(f"{file.path!r} is nested too deeply.") from error


def _of_script(file: ScriptFile) -> Migration:
    text, left = migrated(file.text)
    return Migration(
        file,
        text,
        _diff(file.path, file.text, text),
        [Place(each, None, is_by_hand) for each, is_by_hand in _marked(findings(file.text), left)],
        [Place(each, None, True) for each in left],
    )


def _of_notebook(file: ScriptFile) -> Migration:
    found = notebook.parse(file)
    code, left = migrated(found.code)
    unread = [
        Place(Finding(each.line, 1, each.name, each.advice), each.cell, True)
        for each in found.unread
    ]
    marked = _marked(findings(found.code), left)
    uses = [*(_in_cell(found.code, each, is_by_hand) for each, is_by_hand in marked), *unread]
    uses.sort(key=_cell_and_line)
    text = notebook.with_code(file, found, code) if code != found.code else file.text
    if text is None:  # A statement would move from one cell to another.
        uses = [replace(each, is_by_hand=True) for each in uses]
        return Migration(file, file.text, "", uses, uses)
    diff = _diff(file.path, notebook.shown(found.code), notebook.shown(code))
    by_hand = [*(_in_cell(code, each, True) for each in left), *unread]
    by_hand.sort(key=_cell_and_line)
    return Migration(file, text, diff, uses, by_hand)


def _marked(uses: Sequence[Finding], left: Sequence[Finding]) -> list[tuple[Finding, bool]]:
    """The uses in a file, and whether the change of the file leaves them to hand."""
    by_hand: set[int] = set()
    for each in left:
        # A change of a line may give what is left in it another name, as in an import.
        fitting = sorted(
            (each.line_before != use.line, each.name != use.name, number)
            for number, use in enumerate(uses)
            if number not in by_hand and (each.line_before == use.line or each.name == use.name)
        )
        by_hand.update(number for *_, number in fitting[:1])
    return [(use, number in by_hand) for number, use in enumerate(uses)]


def _cell_and_line(place: Place) -> tuple[int, int]:
    return place.cell or 0, place.finding.line


def _in_cell(code: str, finding: Finding, is_by_hand: bool) -> Place:
    cell, line = notebook.place_in_cells(code, finding.line)
    return Place(replace(finding, line=line), cell, is_by_hand)


def _diff(path: str, before: str, after: str) -> str:
    name = "stdin" if path == STDIN else path.lstrip("/")
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)
