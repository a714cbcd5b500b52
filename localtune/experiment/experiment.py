"""Experiment, under the path that it has in Ray Tune."""

from localtune.running.experiment import Experiment as Experiment
