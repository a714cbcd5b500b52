"""Tunes a small neural network that reads handwritten digits.

    python -m localtune.examples.digits             48 configurations, on all cores
    python -m localtune.examples.digits --smoke     4 configurations, a few seconds
    python -m localtune.examples.digits --executor ray      on three nodes of this machine

Your own program needs only the counterparts of :class:`DigitsClassifier`, :data:`SEARCH_SPACE` and
:func:`make_tuner`. The rest shows the best configuration, and finds an earlier run to continue.

The 1,797 images of 8 x 8 pixels are part of scikit-learn. Half of them train the network. A quarter
is the validation data, by which the best configuration is chosen. A quarter is the test data.
"""

from __future__ import annotations

import argparse
import contextlib
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import localtune as tune
from localtune.testing.local_clusters import local_cluster

STORAGE_PATH = "~/localtune_results/digits"
SAMPLES, ITERATIONS = 48, 8
SMOKE_SAMPLES, SMOKE_ITERATIONS = 4, 2

MODEL_FILE = "model.pkl"

# -- the training ----------------------------------------------------------------------------------


class Split(NamedTuple):
    """Images (n, 64) and the digits that they show (n,)."""

    images: Any
    digits: Any


def load_splits() -> tuple[Split, Split, Split]:
    """Loads the training, validation and test data, which are the same in each call."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, digits = load_digits(return_X_y=True)
    images = images / 16.0
    train_x, rest_x, train_y, rest_y = train_test_split(
        images, digits, train_size=0.5, stratify=digits, random_state=0
    )
    valid_x, test_x, valid_y, test_y = train_test_split(
        rest_x, rest_y, train_size=0.5, stratify=rest_y, random_state=0
    )
    return Split(train_x, train_y), Split(valid_x, valid_y), Split(test_x, test_y)


class DigitsClassifier(tune.Trainable):
    """A network with one hidden layer. An iteration is five passes over the training data."""

    def setup(self, config: dict[str, Any]) -> None:
        from sklearn.neural_network import MLPClassifier

        self.train_data, self.valid_data, _ = load_splits()
        self.model = MLPClassifier(
            hidden_layer_sizes=(config["width"],),
            learning_rate_init=config["learning_rate"],
            alpha=config["regularisation"],
            batch_size=config["batch_size"],
            random_state=0,
        )

    def step(self) -> dict[str, Any]:
        images, digits = self.train_data
        for _ in range(5):
            self.model.partial_fit(images, digits, classes=range(10))
        return {
            "accuracy": float(self.model.score(*self.valid_data)),
            "loss": float(self.model.loss_),
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / MODEL_FILE).write_bytes(pickle.dumps(self.model))

    def load_checkpoint(self, checkpoint: str) -> None:
        self.model = load_model(checkpoint)


def load_model(checkpoint_dir: str) -> Any:
    """Loads the classifier that :class:`DigitsClassifier` wrote into a checkpoint."""
    return pickle.loads((Path(checkpoint_dir) / MODEL_FILE).read_bytes())


# -- the search ------------------------------------------------------------------------------------

SEARCH_SPACE = {
    "learning_rate": tune.loguniform(1e-4, 1e-1),
    "width": tune.lograndint(8, 129),
    "regularisation": tune.loguniform(1e-6, 1.0),
    "batch_size": tune.choice([16, 32, 64, 128]),
}


def make_tuner(
    storage_path: Path, samples: int, iterations: int, executor: Any = None
) -> tune.Tuner:
    """Makes a tuner for a new run.

    Args:
        storage_path: Directory for the run.
        samples: Number of configurations.
        iterations: Number of iterations per configuration.
        executor: Where trials run; None is on this machine.
    """
    return tune.Tuner(
        DigitsClassifier,
        param_space=SEARCH_SPACE,
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=samples),
        run_config=tune.RunConfig(
            storage_path=storage_path,
            stop={"training_iteration": iterations},
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1,
                checkpoint_score_attribute="accuracy",
                num_to_keep=2,
            ),
        ),
        executor=executor,
    )


# -- the winner ------------------------------------------------------------------------------------


def print_best(results: tune.ResultGrid) -> None:
    """Prints the best configuration, and the accuracy of its network on the test data."""
    best = results.get_best_result()
    assert best.config is not None and best.metrics is not None and best.checkpoint is not None
    _, _, test_data = load_splits()
    test_accuracy = load_model(best.checkpoint.path).score(*test_data)
    print("\nBest configuration:")
    for name in SEARCH_SPACE:
        print(f"  {name:<16}{best.config[name]:.6g}")
    print(f"Validation accuracy: {best.metrics['accuracy']:.2%}")
    print(f"Test accuracy:       {test_accuracy:.2%}  (held-out data)")
    print(f"Checkpoint: {best.checkpoint.path}")
    print(f"Results:    {results.experiment_path}")


# -- an earlier run --------------------------------------------------------------------------------


def find_latest_run(storage_path: Path) -> Path | None:
    """Returns the directory of the latest run in ``storage_path``; None if there is none."""
    if not storage_path.is_dir():
        return None
    # The names of runs end in the time of their start.
    runs = sorted(path for path in storage_path.iterdir() if tune.Tuner.can_restore(path))
    return runs[-1] if runs else None


def take_up(run: Path, executor: Any = None) -> tune.Tuner:
    """Makes a tuner that resumes a run; failed trials go on from their checkpoints, too.

    Args:
        run: Directory of the run.
        executor: Where trials run; None is on this machine.
    """
    return tune.Tuner.restore(run, DigitsClassifier, executor=executor, resume_errored=True)


def is_finished(run: Path) -> bool:
    """Returns whether all trials of a run have ended without an error."""
    results = take_up(run).get_results()
    return 0 < len(results) == results.num_terminated


def wants_to_continue(run: Path, answer: str | None) -> bool:
    """Returns whether to continue an earlier run; asks the user if no option tells.

    Args:
        run: Directory of the earlier run.
        answer: ``"continue"``, ``"new"``, or None for neither option.
    """
    if answer is not None:
        return answer == "continue"
    finished = is_finished(run)
    print(f"Found {'a finished' if finished else 'an unfinished'} run: {run}")
    if sys.stdin.isatty():
        question = "show its results" if finished else "go on with it"
        return input(f"[c] {question}, or [n] start a new one? [c/n] ").strip().lower() != "n"
    print("Starting a new one." if finished else "Going on with it.", "(--new, --continue)")
    return not finished


# -- the program -----------------------------------------------------------------------------------


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parses the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="digits", description="Tunes a classifier of handwritten digits on all cores."
    )
    parser.add_argument("--smoke", action="store_true", help="the smallest form, leaves no files")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--new", dest="answer", action="store_const", const="new", help="start a new run"
    )
    choice.add_argument(
        "--continue",
        dest="answer",
        action="store_const",
        const="continue",
        help="go on with the latest run, if there is one",
    )
    parser.add_argument("--samples", type=int, help=f"configurations to try (default: {SAMPLES})")
    parser.add_argument(
        "--executor",
        choices=["ray", "dask"],
        help="run on a cluster of three nodes, which is started on this machine",
    )
    parser.add_argument(
        "--storage",
        type=Path,
        default=Path(STORAGE_PATH),
        help="directory of the runs (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def choose_tuner(options: argparse.Namespace, executor: Any) -> tune.Tuner:
    """Makes a tuner for the earlier run if the user wants to continue it, else for a new run.

    Args:
        options: The options of the command line.
        executor: Where trials run; None is on this machine.
    """
    storage_path = options.storage.expanduser().resolve()
    run = find_latest_run(storage_path)
    if run is not None and wants_to_continue(run, options.answer):
        return take_up(run, executor)
    return make_tuner(storage_path, options.samples or SAMPLES, ITERATIONS, executor)


def run_to_end(tuner: tune.Tuner) -> int:
    """Runs the search and prints the best configuration.

    Returns:
        The exit code: 0 if all trials ended without an error, else 1.
    """
    results = tuner.fit()
    if results.num_terminated:
        print_best(results)
    if len(results) == results.num_terminated:
        return 0
    print("Not all trials ended well: go on with --continue.", file=sys.stderr)
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    options = parse_arguments(arguments)
    with contextlib.ExitStack() as stack:
        executor = None
        if options.executor is not None:
            executor = stack.enter_context(local_cluster(options.executor)).make_executor()
        if not options.smoke:
            return run_to_end(choose_tuner(options, executor))
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="digits-"))
        samples = options.samples or SMOKE_SAMPLES
        return run_to_end(make_tuner(Path(directory), samples, SMOKE_ITERATIONS, executor))


if __name__ == "__main__":
    sys.exit(main())
