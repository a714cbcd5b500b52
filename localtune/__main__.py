"""``python -m localtune`` is the command ``localtune``."""

from __future__ import annotations

import sys

from localtune.tools.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
