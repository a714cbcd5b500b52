"""Compares schedulers on 400 recorded learning curves, in seconds instead of days.

python -m localtune.examples.simulate
"""

from __future__ import annotations

from localtune.examples._data import is_smoke
from localtune.schedulers import (
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)
from localtune.testing.curves import digits_curves
from localtune.testing.simulation import simulate


def schedulers() -> dict[str, TrialScheduler | None]:
    """Makes new schedulers; each simulation needs its own."""
    return {
        "none": None,
        "ASHA": ASHAScheduler(max_t=50, grace_period=2, reduction_factor=3),
        "HyperBand": HyperBandScheduler(max_t=50),
        "median rule": MedianStoppingRule(grace_period=5),
    }


def main() -> None:
    smoke = is_smoke(__doc__)
    curves = digits_curves()
    print(f"{'scheduler':<14}{'best accuracy':>14}{'iterations':>12}{'seconds saved':>15}")
    full_s = None
    for name, scheduler in schedulers().items():
        found = simulate(
            curves.trainable,
            curves.param_space,
            metric="accuracy",
            mode="max",
            num_samples=20 if smoke else 100,
            num_cpus=4,
            scheduler=scheduler,
            seed=1,
        )
        full_s = found.trained_s if full_s is None else full_s
        saved_s = full_s - found.trained_s
        print(f"{name:<14}{found.best_value:>14.3f}{found.iterations:>12,}{saved_s:>15.1f}")


if __name__ == "__main__":
    main()
