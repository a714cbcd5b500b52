"""Settings of a run from flat options."""

from __future__ import annotations

import dataclasses
from typing import Any

from localtune.config.failure import FailureConfig
from localtune.config.run import RunConfig
from localtune.config.spec import RunSpec
from localtune.config.tune import TuneConfig
from localtune.controller.settings import RunSettings
from localtune.resources import resource_dict_to_pg_factory


def make_settings(request: dict[str, float] | None = None, **options: Any) -> RunSettings:
    """The settings of a run; each option goes to the config, or the field, that declares it.

    Args:
        request: What each trial asks for; one CPU by default.
        **options: Fields of TuneConfig, RunConfig, FailureConfig, RunSpec and RunSettings.
    """

    def taken_by(kind: Any) -> dict[str, Any]:
        names = [each.name for each in dataclasses.fields(kind) if each.name in options]
        return {name: options.pop(name) for name in names}

    failure_config = FailureConfig(**taken_by(FailureConfig))
    run_config = RunConfig(name="run", failure_config=failure_config, **taken_by(RunConfig))
    tune_config = TuneConfig(**taken_by(TuneConfig))
    spec = RunSpec("trainable", tune_config=tune_config, run_config=run_config, **taken_by(RunSpec))
    return RunSettings(
        spec,
        "/nowhere",
        lambda config: resource_dict_to_pg_factory(request or {"cpu": 1}),
        **options,
    )
