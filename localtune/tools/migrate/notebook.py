"""Notebooks: their code cells, as one script and back.

::

    cell 1      !pip install ray     -->  pass  #!pip install ray
                from ray import tune      from ray import tune
    cell 2      tune.report(x=1)          # --- cell 2
                                          tune.report(x=1)

Names that one cell imports mean the same in the next ones. Lines that are no Python, as IPython
allows them, are hidden while the script changes. A cell that is no Python is left out.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from localtune.tools.migrate.files import ScriptFile, UnreadableError

_MAGIC = re.compile(r"^(\s*)([%!?].*|[\w.]+\?{1,2}\s*)$")
_HIDDEN = re.compile(r"^(\s*)pass  #localtune:(.*)$")
_BOUNDARY = "#localtune: cell "
_INSTALLS_RAY = re.compile(r"^\s*[!%].*\binstall\b.*\bray\b")
_MENTIONS_RAY = re.compile(r"\b(?:ray|tune)\b")
_INSTALL = ("install ray", "install localtune")
_NO_PYTHON = ("no plain Python", "change what it uses of Ray")
# Magics whose cell is still Python.
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")


class Unread(NamedTuple):
    """A place that is no Python and mentions Ray.

    Attributes:
        cell: Number of the cell, from 1.
        line: Number of the line in it, from 1.
        name: What it is.
        advice: What to do.
    """

    cell: int
    line: int
    name: str
    advice: str


@dataclass(frozen=True)
class Notebook:
    """The code of a notebook.

    Attributes:
        document: The notebook as JSON.
        code: Its code cells as one script.
        cells: Indices of the cells that are in it.
        unread: Places that are no Python and mention Ray.
    """

    document: dict[str, Any]
    code: str
    cells: list[int]
    unread: list[Unread]


def parse(file: ScriptFile) -> Notebook:
    """Reads the code of a notebook.

    Args:
        file: The file.

    Raises:
        UnreadableError: for a file that is no notebook.
    """
    try:
        document = json.loads(file.text.removeprefix("\ufeff"))
        cells = document["cells"]
        sources = {
            number: _text_of(cell["source"])
            for number, cell in enumerate(cells)
            if cell["cell_type"] == "code"
        }
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"{file.path!r} is no notebook of Jupyter, format 4.") from error
    shown = {number: _hidden(text) for number, text in sources.items()}
    used = [number for number, text in shown.items() if _is_python(text)]
    parts = [f"{_BOUNDARY}{number + 1}\n{shown[number]}\n" for number in used]
    unread = [
        Unread(number + 1, line, *about)
        for number, text in sources.items()
        for line, about in _unread_lines(text, is_used=number in used)
    ]
    return Notebook(document, "".join(parts), used, unread)


def _unread_lines(text: str, *, is_used: bool) -> list[tuple[int, tuple[str, str]]]:
    """The lines of a cell that mention Ray in what is hidden, or the first one of the cell."""
    lines = text.split("\n")
    if lines[0].startswith("%%") and not lines[0].startswith(_PYTHON_CELLS):
        return []
    found = {n: _INSTALL for n, line in enumerate(lines, start=1) if _INSTALLS_RAY.search(line)}
    for number, line in enumerate(lines, start=1):
        if is_used and line.lstrip().startswith("%") and _MENTIONS_RAY.search(line):
            found.setdefault(number, _NO_PYTHON)
    # A cell of nothing but commands for the shell has no Python either.
    is_hidden = all(map(_MAGIC.match, filter(None, lines)))
    if not is_used and not (found and is_hidden) and _MENTIONS_RAY.search(text):
        found.setdefault(1, _NO_PYTHON)
    return sorted(found.items())


def _text_of(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _hidden(text: str) -> str:
    lines = text.split("\n")
    if lines[0].startswith("%%") and not lines[0].startswith(_PYTHON_CELLS):
        return ""
    return "\n".join(_MAGIC.sub(r"\1pass  #localtune:\2", line) for line in lines)


def _is_python(text: str) -> bool:
    try:
        return bool(ast.parse(text).body)
    except (SyntaxError, ValueError):
        return False


def shown(code: str) -> str:
    """Returns the script as people read it: hidden lines as they are in the cells.

    Args:
        code: The script.
    """
    return "\n".join(_HIDDEN.sub(r"\1\2", line) for line in code.split("\n"))


def place_in_cells(code: str, line: int) -> tuple[int, int]:
    """Returns the number of the cell, and of the line in it, of a line of the script.

    Args:
        code: The script.
        line: Number of a line of it, from 1.
    """
    lines = code.split("\n")[:line]
    start = next(n for n in range(len(lines), 0, -1) if lines[n - 1].startswith(_BOUNDARY))
    return int(lines[start - 1].removeprefix(_BOUNDARY)), line - start


def with_code(file: ScriptFile, notebook: Notebook, code: str) -> str | None:
    """Returns the text of a notebook with other code.

    Args:
        file: The file.
        notebook: As it was read.
        code: The changed script.

    Returns:
        None if the script does not show any more where its cells begin.
    """
    parts = re.split(rf"^{_BOUNDARY}(\d+)\n", code, flags=re.MULTILINE)
    # In front of the first cell stands what was added at the top.
    added, numbers, texts = parts[0], parts[1::2], parts[2::2]
    if [int(each) - 1 for each in numbers] != notebook.cells:
        return None
    texts[0] = added + texts[0]
    for number, text in zip(notebook.cells, texts, strict=True):
        cell = notebook.document["cells"][number]
        new = shown(text.removesuffix("\n"))
        if new != _text_of(cell["source"]):
            cell["source"] = new.splitlines(keepends=True) if _is_list(cell["source"]) else new
    return _as_json(file.text, notebook.document)


def _is_list(source: object) -> bool:
    return isinstance(source, list)


def _as_json(before: str, document: dict[str, Any]) -> str:
    """The document, laid out as it was before."""
    indent = re.search(r"^\{\r?\n( +|\t+)", before.removeprefix("\ufeff"))
    text = json.dumps(
        document,
        indent=None if indent is None else indent[1],
        ensure_ascii=before.isascii(),
        separators=(",", ": ") if indent else None,
    )
    return text + ("\n" if before.endswith("\n") else "")
