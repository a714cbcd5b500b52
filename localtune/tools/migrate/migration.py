"""One file: what it uses, what it becomes, what is left to hand."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

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
        by_hand: What of it is left in the new text.
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
    """

    finding: Finding
    cell: int | None

    def text(self, path: str) -> str:
        """Returns one line about it.

        Args:
            path: Path of the file.
        """
        found = self.finding
        where = f"{path}:{found.line}" if self.cell is None else f"{path}:{self.cell}:{found.line}"
        return f"{where}: {found.name}: {found.advice}"


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
        [Place(each, None) for each in findings(file.text)],
        [Place(each, None) for each in left],
    )


def _of_notebook(file: ScriptFile) -> Migration:
    found = notebook.parse(file)
    code, left = migrated(found.code)
    unread = [
        Place(Finding(line, 1, "no plain Python", "change what it uses of Ray"), cell)
        for cell, line in found.unread
    ]
    uses = [*(_in_cell(found.code, each) for each in findings(found.code)), *unread]
    text = notebook.with_code(file, found, code) if code != found.code else file.text
    if text is None:  # A statement would move from one cell to another.
        return Migration(file, file.text, "", uses, uses)
    diff = _diff(file.path, notebook.shown(found.code), notebook.shown(code))
    by_hand = [*(_in_cell(code, each) for each in left), *unread]
    return Migration(file, text, diff, uses, by_hand)


def _in_cell(code: str, finding: Finding) -> Place:
    cell, line = notebook.place_in_cells(code, finding.line)
    return Place(Finding(line, finding.column, finding.name, finding.advice), cell)


def _diff(path: str, before: str, after: str) -> str:
    name = "stdin" if path == STDIN else path.lstrip("/")
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)
