"""Search with Optuna (extra ``optuna``)."""

from __future__ import annotations

from localtune.search.optuna.optuna_search import OptunaSearch

__all__ = ["OptunaSearch"]
