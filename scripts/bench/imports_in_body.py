"""Cost of a trial that imports scikit-learn in its body, by that of one that does so at the top.

Both are the same sweep of fresh processes, two slots; the cost is the time per trial from the end
of the first trial to that of the last one.
"""

from __future__ import annotations

from typing import Any

from _common import in_turn, median_ratio, middle, options, rate, sweep, verdict
from _imports_at_top import imports_at_top

import localtune as tune

TARGET = 1.5


def imports_in_body(config: dict[str, Any]) -> None:
    """Imports, then reports once."""
    from sklearn.svm import SVC

    tune.report({"score": SVC(C=config["x"]).C})


def milliseconds(trainable: Any, trials: int) -> float:
    """Milliseconds per trial."""
    return 1000.0 / rate(sweep(trainable, trials).ends)


def main() -> None:
    given = options(__doc__, trials=200, rounds=5)
    at_top, in_body = in_turn(
        given.rounds,
        lambda: milliseconds(imports_at_top, given.trials),
        lambda: milliseconds(imports_in_body, given.trials),
    )
    verdict(
        "cost of a trial, imports in its body / at the top",
        median_ratio(in_body, at_top),
        at_most=TARGET,
        detail=f"in the body {middle(in_body, 'ms', 1)}; at the top {middle(at_top, 'ms', 1)}",
    )


if __name__ == "__main__":
    main()
