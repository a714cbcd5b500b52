"""Ray core beside Tune: init, put, get, remote functions, and objects in a search space."""
import json
import time

import numpy as np
import ray
from ray import tune


@ray.remote
def preprocess(part):
    return np.asarray(part, dtype=float) / 10


@ray.remote(num_cpus=1)
def total(*parts):
    return float(sum(part.sum() for part in parts))


def train(config, data=None):
    more = ray.get(config["more"])
    score = float((data * config["scale"]).sum()) + float(more.max())
    tune.report({"score": score, "size": int(data.size)})


if __name__ == "__main__":
    if not ray.is_initialized():
        ray.init(num_cpus=2, ignore_reinit_error=True)
    started = time.time()
    refs = [preprocess.remote(list(range(n, n + 4))) for n in (0, 4, 8)]
    ready, waiting = ray.wait(refs, num_returns=3)
    parts = ray.get(refs)
    summed = ray.get(total.remote(*refs))
    data = np.concatenate(parts)
    data_ref = ray.put(data)

    tuner = tune.Tuner(
        tune.with_parameters(train, data=data_ref),
        param_space={"scale": tune.grid_search([1, -1]), "more": ray.put(data[:3])},
        tune_config=tune.TuneConfig(metric="score", mode="max"),
    )
    best = tuner.fit().get_best_result()
    cpus = ray.cluster_resources()["CPU"]
    ray.shutdown()
    print("took", time.time() - started)
    print(json.dumps({
        "summed": round(summed, 6),
        "score": round(best.metrics["score"], 6),
        "size": best.metrics["size"],
        "ready": [len(ready), len(waiting)],
        "cpus": cpus,
        "initialized": ray.is_initialized(),
    }))
