"""Changes of entries of a dictionary that describes an experiment, or the arguments of a run."""

from __future__ import annotations

import ast

from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate.arguments import absolute
from localtune.tools.migrate.reports import quoted
from localtune.tools.migrate.script import Change, Target
from localtune.tools.migrate.source import Edit

# {old entry: entry of today}
TODAY = {
    "local_dir": "storage_path",
    "upload_dir": "storage_path",
    "trial_resources": "resources_per_trial",
    "repeat": "num_samples",
}


def renamed(target: Target) -> Change | None:
    """``{"local_dir": "x"}`` becomes ``{"storage_path": os.path.abspath("x")}``."""
    script, use = target
    entries = script.parent(use.node)
    member = OLD_NAMES[use.name].member
    name = TODAY.get(member)
    if name is None or not isinstance(entries, ast.Dict):
        return None
    keys = [each.value if isinstance(each, ast.Constant) else None for each in entries.keys]
    if name in keys:
        return None
    span = script.source.span(use.node)
    change = Change([Edit(span.start, span.end, quoted(script, name))])
    if member != "local_dir":
        return change
    value = absolute(script, entries.values[keys.index(member)])
    return None if value is None else change.with_also(value)
