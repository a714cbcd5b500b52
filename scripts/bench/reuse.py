"""Trials per second with reused workers, against a fresh process for each.

Both are the same sweep of two slots with all file loggers; the class of the first can be given
the next trial's configuration.
"""

from __future__ import annotations

from _common import in_turn, median_ratio, middle, options, rate, sweep, verdict
from _trainables import Reusable
from fresh_trials import localtune_rate

TARGET = 5.0


def reuse_rate(trials: int) -> float:
    """Trials per second of localtune with reused workers."""
    return rate(sweep(Reusable, trials, reuse_actors=True).ends)


def main() -> None:
    given = options(__doc__, trials=300, rounds=5)
    fresh, reused = in_turn(
        given.rounds,
        lambda: localtune_rate(given.trials),
        lambda: reuse_rate(given.trials * 3),
    )
    verdict(
        "trials per second, reused / fresh workers",
        median_ratio(reused, fresh),
        at_least=TARGET,
        detail=f"reused {middle(reused, 'trials/s')}; fresh {middle(fresh, 'trials/s')}",
    )


if __name__ == "__main__":
    main()
