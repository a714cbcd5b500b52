"""Reading what an experiment came to."""

from __future__ import annotations

from localtune.analysis.experiment_analysis import ExperimentAnalysis

__all__ = ["ExperimentAnalysis"]
