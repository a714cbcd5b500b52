"""Time of ``import localtune`` in a fresh interpreter, against an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time

from _common import in_turn, median_ratio, middle, options, verdict

TARGET = 1.5


def start_ms(code: str) -> float:
    """Milliseconds that a fresh interpreter takes to run ``code``."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - before) * 1000


def main() -> None:
    given = options(__doc__, rounds=40)
    bare, importing = in_turn(
        given.rounds, lambda: start_ms("pass"), lambda: start_ms("import localtune")
    )
    verdict(
        "import localtune / bare interpreter",
        median_ratio(importing, bare),
        at_most=TARGET,
        detail=f"import {middle(importing, 'ms', 1)}; bare {middle(bare, 'ms', 1)}",
    )


if __name__ == "__main__":
    main()
