"""Reads saved experiments, and answers questions about their trials."""

from __future__ import annotations

from localtune.analysis.experiment_analysis import ExperimentAnalysis

__all__ = ["ExperimentAnalysis"]
