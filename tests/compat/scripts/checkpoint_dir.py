"""Ray 1.x: a checkpoint_dir argument, tune.checkpoint_dir, and checkpoint.value."""
import json
import os

import ray
from ray import tune


def train_cifar(config, checkpoint_dir=None, data=None):
    step, total = 0, 0.0
    if checkpoint_dir:
        with open(os.path.join(checkpoint_dir, "checkpoint")) as f:
            state = json.loads(f.read())
            step, total = state["step"] + 1, state["total"]
    for step in range(step, 6):
        total += config["factor"] * sum(data)
        if step == 4 and not checkpoint_dir and config["factor"] == 3:
            raise ValueError("out of memory, says the driver")
        with tune.checkpoint_dir(step=step) as checkpoint_dir_now:
            path = os.path.join(checkpoint_dir_now, "checkpoint")
            with open(path, "w") as f:
                f.write(json.dumps({"step": step, "total": total}))
        tune.report(total=total, restored=bool(checkpoint_dir))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    analysis = tune.run(
        tune.with_parameters(train_cifar, data=[1, 2, 3]),
        name="checkpoint_dir",
        config={"factor": tune.grid_search([1, 3])},
        max_failures=2,
        keep_checkpoints_num=1,
        checkpoint_score_attr="total",
        local_dir="results",
        verbose=1,
    )
    best_trial = analysis.get_best_trial("total", "max", "last")
    best_checkpoint_dir = best_trial.checkpoint.value
    with open(os.path.join(best_checkpoint_dir, "checkpoint")) as f:
        state = json.load(f)
    ray.shutdown()
    print(json.dumps({
        "factor": best_trial.config["factor"],
        "total": best_trial.last_result["total"],
        "restored": best_trial.last_result["restored"],
        "state": state,
    }))
