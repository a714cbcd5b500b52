"""The plugin as Hydra finds it, and one sweep with it. More sweeps: tests/integration/hydra."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from localtune import ExperimentAnalysis
from tests.integration.hydra.apps import environment, facts_of, sweep, write_app


def test_importing_the_plugin_loads_only_itself(tmp_path: Path) -> None:
    # What each program has loaded when Hydra imports the plugins.
    code = """
import json, sys
import hydra, hydra.core.plugins
before = set(sys.modules)
import hydra_plugins.localtune_launcher
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["hydra_plugins", "hydra_plugins.localtune_launcher"]


def test_a_sweep_runs_its_jobs_as_trials(tmp_path: Path) -> None:
    write_app(tmp_path)

    done = sweep(
        tmp_path,
        *("lr=0.5,0.25", "act=nothing,fail", "hydra.launcher.gpus_per_job=0.5"),
        *("hydra.launcher.num_cpus=2",),
        CUDA_VISIBLE_DEVICES="4,7",
    )

    # Hydra reports the first failure when all jobs have ended.
    assert done.returncode == 1, done.stderr
    assert "Error executing job with overrides: ['lr=0.5', 'act=fail']" in done.stderr
    assert "OwnError: unlucky 0.5" in done.stderr
    assert 'in act\n    raise OwnError(f"unlucky {cfg.lr}")' in done.stderr
    for number, lr in ((0, 0.5), (2, 0.25)):
        facts = facts_of(tmp_path, number)
        assert (facts["num"], facts["id"], facts["net"]) == (number, f"app_{number}", 3)
        assert facts["cwd"] == str(tmp_path)
        assert facts["gpus"] in ("4", "7")
        assert facts["resources"] == {"CPU": 1, "GPU": 0.5}
        output = tmp_path / "out" / str(number)
        assert f"lr is {lr}" in (output / "app.log").read_text()
        assert f"lr: {lr}" in (output / ".hydra" / "config.yaml").read_text()
    trials = ExperimentAnalysis(tmp_path / "out" / "localtune").trials
    assert [trial.config for trial in trials] == [
        {"lr": lr, "act": act} for lr in (0.5, 0.25) for act in ("nothing", "fail")
    ]
    assert [trial.status.value for trial in trials] == ["TERMINATED", "ERROR"] * 2
    assert [trial.last_result.get("return_value") for trial in trials] == [1.0, None, 0.5, None]
