"""Transformers' own search with its backend "ray", under the stand-in for Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.runs.lifecycle.programs import environment

SCRIPT = """
import json, sys
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.integrations import is_ray_available, is_ray_tune_available

torch.set_num_threads(1)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return {"input_ids": torch.tensor([index % 8, 1]), "labels": torch.tensor(index % 2)}


def new_model(trial=None):
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=8, max_position_embeddings=4,
        )
    )


def accuracy(prediction):
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


if __name__ == "__main__":
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    assert is_ray_available() and is_ray_tune_available()
    trainer = Trainer(
        args=TrainingArguments(
            "output", eval_strategy="epoch", save_strategy="epoch", num_train_epochs=2,
            report_to=[], use_cpu=True, disable_tqdm=True,
        ),
        model_init=new_model, train_dataset=Rows(), eval_dataset=Rows(), compute_metrics=accuracy,
    )
    best = trainer.hyperparameter_search(
        backend="ray",
        hp_space=lambda trial: {"learning_rate": tune.grid_search([1e-3, 1e-1])},
        n_trials=1,
        direction="maximize",
        compute_objective=lambda metrics: metrics["eval_accuracy"],
        scheduler=ASHAScheduler(metric="objective", mode="max", max_t=2),
        resources_per_trial={"cpu": 1, "gpu": 0},
        storage_path=sys.argv[1],
        name="search",
        verbose=0,
    )
    print(json.dumps([
        type(best.run_summary).__module__,
        [trial.last_result["objective"] for trial in best.run_summary.trials],
        best.objective,
        best.hyperparameters,
        [trial.checkpoint is not None for trial in best.run_summary.trials],
    ]))
"""


def test_a_search_with_the_backend_ray_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "localtune.compat", "search.py", str(tmp_path / "results")],
        cwd=tmp_path,
        env=environment(
            HOME=str(tmp_path),
            HF_HUB_OFFLINE="1",
            TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "torch"),
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    module, objectives, best, parameters, have_checkpoints = json.loads(
        done.stdout.splitlines()[-1]
    )
    assert module == "localtune.analysis.experiment_analysis"
    assert len(objectives) == 2 and best == max(objectives)
    assert parameters["learning_rate"] in (1e-3, 1e-1)
    assert have_checkpoints == [True, True]
