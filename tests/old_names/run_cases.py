"""Runs pieces of ``cases.py`` in this process: ``run_cases.py {with,without} DIRECTORY NAME...``.

Prints {row: what the piece raised, None if it ended well, and the notes that it gave} as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from localtune.old_names import use
from tests.old_names.cases import CASES, PRELUDE, without_shim


def main(way: str, root: str, names: list[str]) -> None:
    notes: list[str] = []
    if way == "with":
        import localtune.compat

        localtune.compat.install()
        show = use.note
        assert show is not None

        def note(name: str) -> None:
            notes.append(name)
            show(name)

        use.note = note
    outcomes: dict[str, tuple[str | None, list[str]]] = {}
    for name in names:
        text = CASES[name]
        if text not in outcomes:  # Several rows may share a piece.
            directory = Path(root, str(len(outcomes)))
            directory.mkdir()
            notes.clear()
            outcomes[text] = (_run(PRELUDE + text, directory, way), sorted(set(notes)))
    os.chdir(root)
    print("\n" + json.dumps({name: outcomes[CASES[name]] for name in names}))


def _run(text: str, directory: Path, way: str) -> str | None:
    text = text if way == "with" else without_shim(text)
    # A file of its own, so that Python finds the text of the functions.
    path = directory / "piece.py"
    path.write_text(text)
    os.chdir(directory)
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    try:
        exec(compile(text, path, "exec"), namespace)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
