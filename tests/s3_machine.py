"""What one machine does with an experiment in S3; a process of its own, started by a test.

python s3_machine.py start|cluster|resume <uri> <file>
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import localtune as tune
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine


def train(config: dict[str, Any]) -> None:
    """Counts to 5, and fails once at 4."""
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as path:
            start = int(Path(path, "step").read_text())
    for step in range(start + 1, 6):
        if step == 4 and not os.path.exists(config["once"]):
            Path(config["once"]).touch()
            raise ValueError("failed")
        folder = Path("made")
        folder.mkdir(exist_ok=True)
        (folder / "step").write_text(str(step))
        (folder / "weights").write_bytes(os.urandom(100_000))
        tune.report({"step": step}, checkpoint=tune.Checkpoint.from_directory(folder))


def start(uri: str, once: str, executor: Any = None) -> dict[str, Any]:
    storage_path, _, name = uri.rpartition("/")
    grid = tune.Tuner(
        train,
        param_space={"once": once},
        run_config=tune.RunConfig(
            name=name,
            storage_path=storage_path,
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
        ),
        executor=executor,
    ).fit()
    return {"errors": grid.num_errors}


def cluster(uri: str, once: str) -> dict[str, Any]:
    return start(uri, once, ClusterExecutor(LocalEngine([{"CPU": 1}] * 2)))


def resume(uri: str, once: str) -> dict[str, Any]:
    assert tune.Tuner.can_restore(uri) and not tune.Tuner.can_restore(uri + "_none")
    result = tune.Tuner.restore(uri, train, resume_errored=True).fit()[0]
    assert result.path is not None and result.checkpoint is not None
    trial = os.path.basename(result.path)
    checkpoint = tune.Checkpoint(f"{uri}/{trial}/checkpoint_000004")
    with checkpoint.as_directory() as one, checkpoint.as_directory() as two:
        names = sorted(os.listdir(one))
        same = one == two
    lines = Path(result.path, "result.json").read_text().splitlines()
    return {
        "steps": [json.loads(line)["step"] for line in lines],
        "names": names,
        "same": same,
        "repr": repr(checkpoint).partition(",")[0],
    }


if __name__ == "__main__":
    print(
        json.dumps(
            {"start": start, "cluster": cluster, "resume": resume}[sys.argv[1]](*sys.argv[2:])
        )
    )
