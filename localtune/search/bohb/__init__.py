"""Search with the model of BOHB (extra ``optuna``)."""

from __future__ import annotations

from localtune.search.bohb.bohb_search import TuneBOHB

# A second name of the class.
BOHB = TuneBOHB

__all__ = ["TuneBOHB"]
