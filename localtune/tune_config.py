"""TuneConfig and ResumeConfig, under the path that they have in Ray Tune."""

from localtune.config.resume import ResumeConfig as ResumeConfig
from localtune.config.tune import TuneConfig as TuneConfig
