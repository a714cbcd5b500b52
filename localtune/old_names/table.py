"""The table of old names: what each does, and what to write today."""

from __future__ import annotations

from localtune.old_names.row import OldName as OldName
from localtune.old_names.rows import modules, results, running, trainables

ROWS = (*running.ROWS, *trainables.ROWS, *results.ROWS, *modules.ROWS)
OLD_NAMES = {row.name: row for row in ROWS}
