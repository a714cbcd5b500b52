"""The callback and setup_wandb with Weights & Biases itself, offline."""

from __future__ import annotations

import json
import pickle
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb.sdk.artifacts.artifact  # makes temporary folders for all of the process
import wandb.sdk.data_types.base_types.media  # noqa: F401
from wandb.proto.wandb_internal_pb2 import Record

import localtune as tune
from localtune.integration.wandb import setup_wandb
from localtune.logger.wandb import WandbLoggerCallback
from tests.small_runs import Counting, fit, processes, reporting_checkpoints, statuses

pytestmark = pytest.mark.slow

_BLOCK_BYTES = 32768


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    # The library replaces it when a run begins.
    monkeypatch.setattr(sys, "exit", sys.exit)


class Log:
    """What the file of one run holds."""

    def __init__(self, path: Path) -> None:
        self.rows: list[dict[str, Any]] = []
        self.artifacts: list[str] = []
        for data in _records(path.read_bytes()):
            record = Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config = {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
            elif kind == "history":
                items = {i.key or "/".join(i.nested_key): i for i in record.history.item}
                self.rows.append({key: json.loads(i.value_json) for key, i in items.items()})
            elif kind == "exit":
                self.exit_code = record.exit.exit_code
            elif kind == "artifact":
                self.artifacts.append(record.artifact.name)
            elif kind == "request" and record.request.HasField("log_artifact"):
                self.artifacts.append(record.request.log_artifact.artifact.name)


def _records(data: bytes) -> Iterator[bytes]:
    """Records of the format of LevelDB's logs, after W&B's own header of seven bytes."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        left = _BLOCK_BYTES - place % _BLOCK_BYTES
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, last
            yield parts
            parts = b""


def logs_in(folder: Path) -> list[Log]:
    """All runs, in the order of the config's ``number``, then of time."""
    logs = [Log(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]
    return sorted(logs, key=lambda log: log.config.get("number", 0))


def test_trials_are_runs_with_config_metrics_and_exit_code(tmp_path: Path) -> None:
    grid = fit(
        Counting,
        tmp_path,
        {"number": tune.grid_search([0, 1]), "fail_at": tune.sample_from(_fails), "a": {"b": {1}}},
        callbacks=[WandbLoggerCallback("project", excludes=["loss", "nested/resets"])],
    )

    assert statuses(grid) == ["TERMINATED", "ERROR"]
    good, failed = logs_in(tmp_path)
    assert good.run.run_id == grid[0].metrics["trial_id"]
    assert good.run.project == "project"
    assert good.run.run_group == "run"
    assert good.run.display_name.startswith("Counting_")
    assert good.config["a"] == {"b": "{1}"}
    assert (good.exit_code, failed.exit_code) == (0, 1)
    assert [row["count"] for row in good.rows] == [1, 2, 3]
    assert [row["nested/count"] for row in good.rows] == [1, 2, 3]
    assert [row["training_iteration"] for row in good.rows] == [1, 2, 3]
    assert not {"loss", "nested/resets", "pid", "config"} & good.rows[0].keys()


def _fails(config: dict[str, Any]) -> int:
    return 2 if config["number"] == 1 else 0


def test_a_retried_trial_goes_on_with_its_run_and_a_resumed_one_with_its_id(
    tmp_path: Path,
) -> None:
    space = {"steps": 5, "fail_at": 3, "once": str(tmp_path / "once")}
    callback = WandbLoggerCallback("project", save_checkpoints=True)
    options: dict[str, Any] = {"callbacks": [callback], "max_failures": 1}
    first = fit(reporting_checkpoints, tmp_path, space, **options)

    (log,) = logs_in(tmp_path)
    assert log.exit_code == 0
    assert [row["step"] for row in log.rows] == [1, 2, 3, 4, 5]
    trial_id = first[0].metrics["trial_id"]
    assert set(log.artifacts) == {f"checkpoint_{trial_id}"}
    assert len(log.artifacts) == 5


def test_a_resumed_trial_has_the_same_id(tmp_path: Path) -> None:
    space = {"fail_at": 3, "once": str(tmp_path / "once")}
    callback = WandbLoggerCallback("project", log_config=True)
    first = fit(Counting, tmp_path, space, callbacks=[callback], checkpoint_frequency=1)
    tune.Tuner.restore(
        first.experiment_path, Counting, resume_errored=True, executor="inprocess"
    ).fit()

    before, after = sorted(logs_in(tmp_path), key=lambda log: log.rows[0]["count"])
    assert before.run.run_id == after.run.run_id
    assert (before.exit_code, after.exit_code) == (1, 0)
    assert [row["count"] for row in before.rows] == [1, 2]
    assert [row["count"] for row in after.rows] == [3]
    assert after.rows[0]["config/fail_at"] == 3


def test_a_failure_of_the_library_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = WandbLoggerCallback("project", no_such_argument=1)

    grid = fit(Counting, tmp_path, callbacks=[callback])

    assert statuses(grid) == ["TERMINATED"]
    assert "Weights & Biases did not accept a result" in caplog.text
    assert "no_such_argument" in caplog.text


def test_without_a_key_an_online_run_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")

    with pytest.raises(tune.TuneError, match=r"WandbLoggerCallback.setup raised"):
        fit(Counting, tmp_path, callbacks=[WandbLoggerCallback("project")])

    assert not list(tmp_path.glob("run/Counting*"))


def test_keys(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 40 + "\n")

    callback = WandbLoggerCallback(api_key_file=str(tmp_path / "key"))

    assert callback.api_key == "k" * 40
    assert pickle.loads(pickle.dumps(callback)).api_key is None
    with pytest.raises(ValueError, match="not both"):
        WandbLoggerCallback(api_key="k", api_key_file="f")
    with pytest.raises(ValueError, match="api_key_file cannot be read"):
        WandbLoggerCallback(api_key_file=str(tmp_path / "none"))


def logs_itself(config: dict[str, Any]) -> None:
    run = setup_wandb(config, project="own")
    run.log({"loss": 0.5})
    run.finish()
    tune.report({"loss": 0.5})


class LogsItself(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        names: dict[str, Any] = {
            "trial_id": f"{self.trial_id}-own",
            "trial_name": f"own {self.trial_name}",
        }
        self.run = setup_wandb(config, project="own", group="all", **names)

    def step(self) -> dict[str, Any]:
        return {"id": self.run.id, "name": self.run.name, "done": True}

    def cleanup(self) -> None:
        self.run.finish()


def test_setup_wandb_takes_an_id_and_a_name_for_its_run(tmp_path: Path) -> None:
    (result,) = fit(LogsItself, tmp_path, {"number": 1}, executor=processes(1))

    assert result.error is None
    metrics = result.metrics
    assert metrics["id"] == metrics["trial_id"] + "-own"
    assert metrics["name"].startswith("own LogsItself_")
    (log,) = logs_in(tmp_path)
    assert (log.run.run_id, log.run.run_group) == (metrics["id"], "all")


def test_setup_wandb_in_trials(tmp_path: Path) -> None:
    grid = fit(logs_itself, tmp_path, {"number": tune.grid_search([0, 1])}, executor=processes(1))

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    logs = logs_in(tmp_path)
    assert [log.config["number"] for log in logs] == [0, 1]
    assert [log.run.run_id for log in logs] == [result.metrics["trial_id"] for result in grid]
    for log in logs:
        assert (log.run.run_group, log.exit_code) == ("run", 0)
        assert [row["loss"] for row in log.rows] == [0.5]
