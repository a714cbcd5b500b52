"""Ray 0.8: tune.track.log, data frames of an Analysis, and the best directory."""
import json
import os

import pandas as pd
from ray import tune
from ray.tune import Analysis, track


def train_mnist(config):
    accuracy = 0.0
    for i in range(5):
        accuracy += config["lr"] * (1 - accuracy)
        if i % 2:
            tune.track.log(mean_accuracy=accuracy, epoch=i)
        else:
            track.log(mean_accuracy=accuracy, epoch=i)
    with open("model.txt", "w") as f:
        f.write(str(accuracy))


if __name__ == "__main__":
    analysis = tune.run(
        train_mnist,
        name="track",
        local_dir=os.path.abspath("./track_results"),
        config={"lr": tune.grid_search([0.01, 0.1, 0.5]), "momentum": 0.9},
    )
    print("Best config: ", analysis.get_best_config(metric="mean_accuracy", mode="max"))
    logdir = analysis.get_best_logdir(metric="mean_accuracy", mode="max")
    df = analysis.dataframe(metric="mean_accuracy", mode="max")
    frames = analysis.trial_dataframes
    progress = pd.read_csv(os.path.join(logdir, "progress.csv"))
    later = Analysis("./track_results/track")
    with open(os.path.join(logdir, "model.txt")) as f:
        saved = float(f.read())
    print(json.dumps({
        "lr": analysis.get_best_config(metric="mean_accuracy", mode="max")["lr"],
        "columns": [name for name in ("mean_accuracy", "epoch", "config/lr") if name in df],
        "rows": len(df),
        "frames": sorted(len(frame) for frame in frames.values()),
        "progress": [round(x, 6) for x in progress["mean_accuracy"]],
        "saved": round(saved, 6),
        "later": later.get_best_config("mean_accuracy", "max")["lr"],
        "configs": sorted(config["lr"] for config in later.get_all_configs().values()),
    }))
