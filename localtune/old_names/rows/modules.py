"""Modules of earlier releases: their names have another place."""

from __future__ import annotations

from localtune.old_names.row import module

ROWS = (
    module("session", "has the functions of a trial", "tune.report() and tune.get_checkpoint()"),
    module("track", "has the functions of a trial", "tune.report() and tune.get_context()"),
    module("suggest", "has the search algorithms", "localtune.search"),
    module("sample", "has the functions of search spaces", "localtune.search.sample"),
    module(
        "air",
        "has configs, checkpoints and the functions of a trial",
        "import localtune as tune, with tune.RunConfig, tune.Checkpoint, tune.report() and "
        "tune.get_checkpoint(); localtune.integration.wandb for air.integrations.wandb",
    ),
    module(
        "train",
        "has configs, checkpoints and the functions of a trial",
        "import localtune as tune, with tune.RunConfig, tune.Checkpoint, tune.report() and "
        "tune.get_checkpoint()",
    ),
)
