"""Time of ``import localtune``, and of ``localtune.Tuner`` too, against a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
import time

from _common import in_turn, median_ratio, middle, options, verdict

TARGET = 1.2
TARGET_TUNER = 4.0


def start_ms(code: str) -> float:
    """Milliseconds that a fresh interpreter takes to run ``code``."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - before) * 1000


def main() -> None:
    given = options(__doc__, rounds=40)
    bare, importing, naming = in_turn(
        given.rounds,
        lambda: start_ms("pass"),
        lambda: start_ms("import localtune"),
        lambda: start_ms("import localtune; localtune.Tuner"),
    )
    verdict(
        "import localtune / bare interpreter",
        median_ratio(importing, bare),
        at_most=TARGET,
        detail=f"import {middle(importing, 'ms', 1)}; bare {middle(bare, 'ms', 1)}",
    )
    verdict(
        "import localtune; localtune.Tuner / bare interpreter",
        median_ratio(naming, bare),
        at_most=TARGET_TUNER,
        detail=f"{middle(naming, 'ms', 1)}",
    )


if __name__ == "__main__":
    main()
