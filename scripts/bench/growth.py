"""Speed of the last trials of a long run, against the first ones.

What an event costs must not grow with the number of trials. Workers are reused, so that the run
ends soon.
"""

from __future__ import annotations

from _common import options, rate, sweep, verdict
from _trainables import Reusable

TARGET = 0.90


def main() -> None:
    given = options(__doc__, trials=10_000)
    ends = sweep(Reusable, given.trials, reuse_actors=True).ends
    part = max(given.trials // 10, 2)
    first, last = rate(ends[:part]), rate(ends[-part:])
    verdict(
        f"speed of the last {part:,} of {given.trials:,} trials / first",
        last / first,
        at_least=TARGET,
        detail=f"first {first:,.0f} trials/s; last {last:,.0f} trials/s",
    )


if __name__ == "__main__":
    main()
