"""PyTorch Lightning, trained in a real sweep: reports, checkpoints, and going on from them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from tests.small_runs import checkpoint_names, fit, processes, rows, statuses


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))


def fit_module(config: dict[str, Any], callback: Any, epochs: int, start: str | None) -> None:
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return (self.layer(batch[0]) - batch[1]).square().mean()

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", self.training_step(batch, index))
            self.log("epoch", float(self.current_epoch))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), config["lr"])

    torch.manual_seed(1)
    x = torch.randn(32, 2)
    data = torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True))
    loader = torch.utils.data.DataLoader(data, 8)
    warnings.simplefilter("ignore")  # advice on numbers of workers
    lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[callback],
    ).fit(Module(), loader, loader, ckpt_path=start)  # fmt: skip


def train(config: dict[str, Any]) -> None:
    """Fails once after two epochs, and goes on from the saved state."""
    from localtune.integration.pytorch_lightning import TuneReportCheckpointCallback

    callback = TuneReportCheckpointCallback({"loss": "val_loss", "epoch": "epoch"})
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        fit_module(config, callback, 2, None)
        raise ValueError("only once")
    with checkpoint.as_directory() as directory:
        fit_module(config, callback, 4, os.path.join(directory, "checkpoint"))


def test_a_sweep_reports_and_a_retry_goes_on_from_the_saved_state(tmp_path: Path) -> None:
    grid = fit(
        train,
        tmp_path,
        {"lr": tune.grid_search([0.01, 0.1])},
        executor=processes(2),
        max_failures=1,
        num_to_keep=1,
    )

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    for result in grid:
        assert [row["epoch"] for row in rows(result)] == [0, 1, 2, 3]
        losses = [row["loss"] for row in rows(result)]
        assert losses == sorted(losses, reverse=True)
        (name,) = checkpoint_names(result)
        assert Path(result.path, name, "checkpoint").is_file()


def test_hooks_metrics_and_no_checkpoints(tmp_path: Path) -> None:
    def run(config: dict[str, Any]) -> None:
        from localtune.integration.pytorch_lightning import TuneCallback, TuneReportCallback

        with pytest.raises(ValueError, match="no hook 'epoch_ended'"):
            TuneCallback("epoch_ended")
        callback = TuneReportCallback(["val_loss", "no_such"], on="train_epoch_end")
        fit_module({"lr": 0.1}, callback, 2, None)

    (result,) = fit(run, tmp_path, executor=processes(1))

    assert result.error is None
    assert len(rows(result)) == 2
    assert "val_loss" in result.metrics and "no_such" not in result.metrics
    assert result.checkpoint is None


def test_the_callback_of_ray_train_reports_each_epoch_with_a_checkpoint(tmp_path: Path) -> None:
    def run(config: dict[str, Any]) -> None:
        from localtune.compat.ray.train.lightning import RayTrainReportCallback, prepare_trainer

        assert prepare_trainer(run) is run
        fit_module({"lr": 0.1}, RayTrainReportCallback(), 2, None)

    (result,) = fit(run, tmp_path, executor=processes(1))

    assert result.error is None
    assert [row["epoch"] for row in rows(result)] == [0, 1]
    assert result.checkpoint is not None
    assert Path(result.checkpoint.path, "checkpoint.ckpt").is_file()
