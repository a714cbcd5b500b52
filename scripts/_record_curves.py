"""Records learning curves of the demo's problem; scripts/record_curves runs it.

An iteration is one pass over the training data (the demo's is five), so that early stopping has
something to see. The time of an iteration is the processor time that its training took, because
that depends less on what else the machine does. Accuracy and loss are those of the validation
data.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import localtune as tune
from localtune.examples.digits import load_splits
from localtune.search.basic_variant import BasicVariantGenerator

OUTPUT = Path(__file__).parents[1] / "localtune" / "testing" / "curves.json.gz"
SEED = 1

# Wide on purpose: most configurations learn badly or slowly, few are good.
SEARCH_SPACE = {
    "learning_rate": tune.loguniform(1e-4, 0.3),
    "width": tune.lograndint(4, 257),
    "depth": tune.randint(1, 4),
    "activation": tune.choice(["relu", "tanh", "logistic"]),
    "regularisation": tune.loguniform(1e-6, 10.0),
    "batch_size": tune.choice([16, 32, 64, 128, 256]),
}
# What a reader needs to find the recorded configuration that is nearest to another one.
PARAMETERS = {
    "learning_rate": {"lower": 1e-4, "upper": 0.3, "log": True},
    "width": {"lower": 4, "upper": 256, "log": True, "integer": True},
    "depth": {"lower": 1, "upper": 3, "integer": True},
    "activation": {"categories": ["relu", "tanh", "logistic"]},
    "regularisation": {"lower": 1e-6, "upper": 10.0, "log": True},
    "batch_size": {"categories": [16, 32, 64, 128, 256]},
}
METRICS = ["accuracy", "loss", "time_this_iter_s"]


def draw_configs(count: int) -> list[dict[str, Any]]:
    """Configurations as a sweep would draw them."""
    generator = BasicVariantGenerator(random_state=SEED)
    generator.setup(SEARCH_SPACE, count)
    configs = []
    for _ in range(count):
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        configs.append({name: rounded(value) for name, value in suggestion.config.items()})
    return configs


def record(config: dict[str, Any], iterations: int) -> list[list[float]]:
    """The curve of one configuration: a row of METRICS for each iteration."""
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    (train_x, train_y), (valid_x, valid_y), _ = load_splits()
    model = MLPClassifier(
        hidden_layer_sizes=(config["width"],) * config["depth"],
        activation=config["activation"],
        learning_rate_init=config["learning_rate"],
        alpha=config["regularisation"],
        batch_size=config["batch_size"],
        random_state=0,
    )
    curve = []
    for _ in range(iterations):
        started = time.process_time()
        model.partial_fit(train_x, train_y, classes=range(10))
        seconds = time.process_time() - started
        chances = model.predict_proba(valid_x)
        accuracy = float((chances.argmax(axis=1) == valid_y).mean())
        loss = float(log_loss(valid_y, chances, labels=range(10)))
        curve.append([rounded(accuracy), rounded(loss), rounded(seconds, 3)])
    return curve


def rounded(value: Any, digits: int = 5) -> Any:
    """A number with so many significant digits; anything else as it is."""
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description="Records learning curves.")
    parser.add_argument("--configs", type=int, default=400)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    configs = draw_configs(given.configs)
    curves = []
    for number, config in enumerate(configs):
        curves.append(record(config, given.iterations))
        print(f"{number + 1}/{len(configs)} accuracy {curves[-1][-1][0]:.3f}", flush=True)
    data = {
        "about": "Networks that read scikit-learn's handwritten digits; one row per pass over the "
        "training data, accuracy and loss on validation data, seconds of processor time.",
        "parameters": PARAMETERS,
        "metrics": METRICS,
        "configs": configs,
        "curves": curves,
    }
    text = json.dumps(data, separators=(",", ":"))
    # Without a time stamp and a name: the same curves make the same file.
    given.output.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{given.output}: {given.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
