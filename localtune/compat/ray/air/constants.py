"""Stands for ``ray.air.constants``."""

from __future__ import annotations

from localtune.result import TIME_THIS_ITER_S as TIME_THIS_ITER_S
from localtune.result import TIMESTAMP as TIMESTAMP
from localtune.result import TRAINING_ITERATION as TRAINING_ITERATION

MODEL_KEY = "model"
PREPROCESSOR_KEY = "preprocessor"
TRAIN_DATASET_KEY = "train"
EVALUATION_DATASET_KEY = "evaluation"
