"""Keras on PyTorch, trained in a real sweep: reports, checkpoints, and going on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import localtune as tune
from tests.small_runs import checkpoint_names, fit, processes, rows, statuses

_X = np.random.default_rng(1).normal(size=(64, 3)).astype("float32")
_Y = _X.sum(axis=1)


def train(config: dict[str, Any]) -> None:
    """Fails once after two epochs, and goes on from the saved model."""
    import keras

    from localtune.integration.keras import TuneReportCheckpointCallback

    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        model = TuneReportCheckpointCallback.get_model(checkpoint)
        start = int(model.optimizer.iterations.numpy()) // 2
    else:
        # So far from the best weights, which are 1, that each epoch comes nearer to them.
        layer = keras.layers.Dense(1, kernel_initializer="zeros")
        model = keras.Sequential([keras.layers.Input((3,)), layer])
        model.compile(keras.optimizers.Adam(config["lr"]), "mse")
        start = 0
    callback = TuneReportCheckpointCallback({"mse": "loss"})
    for epochs in (2, 4):
        if start < epochs:
            model.fit(_X, _Y, epochs=epochs, initial_epoch=start, verbose=0, callbacks=[callback])
        if start == 0:
            raise ValueError("only once")


@pytest.fixture(autouse=True)
def _backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))


def test_a_sweep_reports_and_a_retry_goes_on_from_the_saved_model(tmp_path: Path) -> None:
    grid = fit(
        train,
        tmp_path,
        {"lr": tune.grid_search([0.01, 0.03])},
        executor=processes(2),
        max_failures=1,
        num_to_keep=1,
    )

    assert statuses(grid) == ["TERMINATED", "TERMINATED"]
    for result in grid:
        losses = [row["mse"] for row in rows(result)]
        assert len(losses) == 4
        assert losses == sorted(losses, reverse=True)
        (name,) = checkpoint_names(result)
        assert Path(result.path, name, "model.keras").is_file()


def test_events_and_metrics(tmp_path: Path) -> None:
    def run(config: dict[str, Any]) -> None:
        import keras

        from localtune.integration.keras import ReportCheckpointCallback, TuneReportCallback

        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        callbacks = [ReportCheckpointCallback("train_end"), TuneReportCallback("loss", "epoch_end")]
        model.fit(_X, _Y, epochs=2, verbose=0, callbacks=callbacks)
        with pytest.raises(ValueError, match="no event 'validation_end'"):
            TuneReportCallback(on="validation_end")

    (result,) = fit(run, tmp_path, executor=processes(1))

    assert result.error is None
    assert len(rows(result)) == 5  # two callbacks in two epochs, and the end
    assert checkpoint_names(result) == ["checkpoint_000000"]
