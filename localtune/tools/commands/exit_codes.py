"""The exit codes of ``localtune``."""

from __future__ import annotations

OK = 0
# Trials failed, or the command did.
FAILED = 1
# A command line, or a sweep file, that cannot be carried out.
USAGE = 2
# Ctrl-C; as shells have it.
INTERRUPTED = 130
