"""Modules of earlier releases: their names have another place."""

from __future__ import annotations

from localtune.old_names.places import OLD_PLACES
from localtune.old_names.row import module

ROWS = (
    module("session", "has the functions of a trial", "tune.report() and tune.get_checkpoint()"),
    module("track", "has the functions of a trial", "tune.report() and tune.get_context()"),
    *(
        module(old, "has names that have moved", f"localtune.{today}")
        for old, today in OLD_PLACES.items()
        # Python imports the package first, and its row tells.
        if old.rpartition(".")[0] not in OLD_PLACES
    ),
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
