"""Tests of localtune.compat.translate.session: checkpoints of an old form, in worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, os
from ray import tune

def train(config, checkpoint_dir=None, reporter=None):
    start = 0
    if checkpoint_dir:
        with open(os.path.join(checkpoint_dir, "step")) as file:
            start = int(file.read()) + 1
    for step in range(start, 3):
        with tune.checkpoint_dir(step) as unused:
            pass  # a later one takes its place
        with tune.checkpoint_dir(step) as directory:
            assert os.path.dirname(directory) == tune.get_trial_dir()
            with open(os.path.join(directory, "step"), "w") as file:
                file.write(str(step))
        tune.report(loss=step)
        assert os.listdir(directory) == ["step"]
        if step == 1 and start == 0:
            os._exit(1)

def last_without_report(config):
    tune.report({"loss": 1})
    with tune.checkpoint_dir(step=1) as directory:
        pass

if __name__ == "__main__":
    trial = tune.run(train, max_failures=1, local_dir="results", verbose=0, name="e").trials[0]
    other = tune.run(last_without_report, local_dir="results", verbose=0).trials[0]
    print(json.dumps({
        "loss": trial.last_result["loss"], "failures": trial.num_failures,
        "value": os.listdir(trial.checkpoint.value), "files": sorted(os.listdir(trial.path)),
        "other": other.checkpoint,
    }))
"""


def test_checkpoints_of_an_old_form_survive_a_killed_worker(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "script.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    names = [name for name in found.pop("files") if "checkpoint" in name or "staging" in name]
    assert found == {"loss": 2, "failures": 1, "value": ["step"], "other": None}
    assert names == ["checkpoint_000000", "checkpoint_000001", "checkpoint_000002"]
    # Readers need no shim, and nothing that they read names ray.
    code = (
        "import sys, localtune as tune; a = tune.ExperimentAnalysis('results/e');"
        "print(a.trials[0].last_result['loss'], 'ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "2 False\n", done.stderr
