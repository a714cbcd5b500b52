from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.schedulers import AsyncHyperBandScheduler
from localtune.testing.curves import Curves, CurveTrainable, Parameter, digits_curves
from localtune.testing.curves_of_experiment import curves_of_experiment
from localtune.testing.simulation import simulate

PARAMETERS = {
    "lr": Parameter(1e-4, 1e-1, log=True),
    "units": Parameter(10, 20, integer=True),
    "kind": Parameter(categories=("a", "b")),
}
CONFIGS = [
    {"lr": 1e-4, "units": 10, "kind": "a"},
    {"lr": 1e-1, "units": 10, "kind": "a"},
    {"lr": 1e-4, "units": 20, "kind": "a"},
    {"lr": 1e-4, "units": 10, "kind": "b"},
]
RESULTS = [[{"loss": float(row), "time_this_iter_s": 2.0}] * 3 for row in range(4)]


@pytest.fixture
def curves() -> Curves:
    return Curves(PARAMETERS, CONFIGS, RESULTS)


# -- the recorded ones -----------------------------------------------------------------------------


def test_the_recorded_curves_are_whole() -> None:
    curves = digits_curves()
    assert len(curves) == 400
    for row in range(len(curves)):
        results = curves.results(row)
        assert len(results) == 50
        assert all(0.0 <= result["accuracy"] <= 1.0 for result in results)
        assert all(result["loss"] > 0.0 for result in results)
        assert all(0.0 < result["time_this_iter_s"] < 10.0 for result in results)
        assert curves.nearest(curves.configs[row]) == row


def test_the_recorded_curves_differ_and_few_are_good() -> None:
    curves = digits_curves()
    best = sorted(max(curves.values(row, "accuracy")) for row in range(len(curves)))
    assert best[100] < 0.5
    assert best[200] < 0.9
    assert best[-1] > 0.98
    assert best[-20] < 0.98


def test_the_recorded_curves_are_small() -> None:
    import localtune.testing

    assert localtune.testing.__file__ is not None
    file = Path(localtune.testing.__file__).with_name("curves.json.gz")
    assert file.stat().st_size < 2_000_000


def test_configurations_lie_within_the_bounds_of_their_parameters() -> None:
    curves = digits_curves()
    for name, parameter in curves.parameters.items():
        for config in curves.configs:
            if parameter.categories:
                assert config[name] in parameter.categories
            else:
                assert parameter.lower <= config[name] <= parameter.upper


def test_early_stopping_has_something_to_do() -> None:
    def run(scheduler: Any) -> Any:
        curves = digits_curves()
        return simulate(
            curves.trainable,
            curves.param_space,
            metric="accuracy",
            mode="max",
            num_samples=100,
            num_cpus=4,
            seed=7,
            scheduler=scheduler,
        )

    whole = run(None)
    halved = run(AsyncHyperBandScheduler(max_t=50, grace_period=2, reduction_factor=3))
    assert whole.iterations == 5000
    assert halved.iterations < 1500
    assert halved.best_value > whole.best_value - 0.02


# -- nearest ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "row"),
    [
        ({"lr": 1e-3, "units": 10, "kind": "a"}, 0),
        ({"lr": 1e-2, "units": 10, "kind": "a"}, 1),  # by the logarithm
        ({"lr": 1e-4, "units": 16, "kind": "a"}, 2),
        ({"lr": 2e-4, "units": 11, "kind": "b"}, 3),
        ({"lr": 1e-4, "units": 10, "kind": "c", "more": 1}, 0),  # all are as far: the first
    ],
)
def test_the_nearest_configuration_is_found(
    curves: Curves, config: dict[str, Any], row: int
) -> None:
    assert curves.nearest(config) == row
    assert curves.trainable(config).step()["loss"] == float(row)


def test_the_nearest_of_those_that_are_left_is_found(curves: Curves) -> None:
    config = {"lr": 1e-3, "units": 10, "kind": "a"}
    assert curves.nearest(config, without={0}) == 1
    with pytest.raises(ValueError, match="must leave out fewer than all 4 configurations"):
        curves.nearest(config, without=range(4))


def test_a_config_without_a_parameter_is_refused(curves: Curves) -> None:
    text = "must have the parameter 'units', .* Is it named 'unit'"
    with pytest.raises(ValueError, match=text):
        curves.trainable({"lr": 1e-3, "unit": 10, "kind": "a"})


def test_a_row_names_a_configuration(curves: Curves) -> None:
    assert [curves.trainable({"row": row}).step()["loss"] for row in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="row must be from 0 to 3, but got 4"):
        curves.trainable({"row": 4})


def test_search_spaces_hold_the_recorded_configurations(curves: Curves) -> None:
    result = simulate(
        curves.trainable, curves.param_space, metric="loss", mode="min", num_samples=50
    )
    for trial in result.trials:
        assert set(trial.config) == set(PARAMETERS)
        assert 1e-4 <= trial.config["lr"] <= 1e-1
        assert 10 <= trial.config["units"] <= 20
    assert {trial.config["kind"] for trial in result.trials} == {"a", "b"}
    rows = simulate(curves.trainable, curves.table_space, metric="loss", mode="min", num_samples=50)
    assert {trial.config["row"] for trial in rows.trials} == {0, 1, 2, 3}


def test_curves_need_results() -> None:
    with pytest.raises(ValueError, match="at least one result of each"):
        Curves({}, [{}], [[]])
    with pytest.raises(ValueError, match="at least one configuration"):
        Curves({}, [], [])


# -- replaying -------------------------------------------------------------------------------------


def test_a_replayed_curve_is_done_at_its_end() -> None:
    trainable = CurveTrainable([{"loss": 3.0}, {"loss": 2.0}])
    assert trainable.step() == {"loss": 3.0, "done": False}
    assert trainable.step() == {"loss": 2.0, "done": True}
    assert trainable.step() == {"loss": 2.0, "done": True}


def test_a_state_is_a_position_on_the_own_curve() -> None:
    donor = CurveTrainable([{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0}])
    donor.step()
    heir = CurveTrainable([{"loss": 30.0}, {"loss": 20.0}, {"loss": 10.0}])
    heir.set_state(donor.get_state())
    assert heir.step()["loss"] == 20.0


# -- curves of an experiment -----------------------------------------------------------------------


def train(config: dict[str, Any]) -> None:
    for step in range(config["steps"]):
        tune.report({"loss": config["model"]["lr"] * (step + 1)})


def test_an_experiment_can_be_replayed(tmp_path: Path) -> None:
    results = tune.Tuner(
        train,
        param_space={
            "model": {"lr": tune.grid_search([1e-4, 1e-3, 1e-1]), "size": 3},
            "steps": tune.grid_search([2, 4]),
        },
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor="inprocess",
    ).fit()
    curves = curves_of_experiment(results.experiment_path)
    assert curves.parameters == {
        "model/lr": Parameter(1e-4, 1e-1, log=True),
        "steps": Parameter(2, 4, integer=True),
    }
    assert len(curves) == 6
    row = curves.nearest({"model/lr": 0.09, "steps": 4})
    assert curves.values(row, "loss") == [0.1, 0.2, pytest.approx(0.3), 0.4]
    assert set(curves.results(row)[0]) == {"loss", "time_this_iter_s"}

    result = simulate(
        curves.trainable, curves.table_space, metric="loss", mode="min", num_samples=10
    )
    assert result.best_value == 1e-4
    assert 0 < result.trained_s < math.inf


def write_trial(directory: Path, *lines: dict[str, Any], rest: str = "") -> None:
    directory.mkdir()
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "result.json").write_text(text + rest)


def test_trials_without_results_and_torn_lines_are_left_out(tmp_path: Path) -> None:
    write_trial(tmp_path / "a", {"loss": 1.0, "config": {"x": 1.0}}, rest='{"loss": 0.')
    write_trial(tmp_path / "b", {"loss": 2.0, "config": {"x": "auto"}})
    write_trial(tmp_path / "c")
    (tmp_path / "d").mkdir()
    curves = curves_of_experiment(tmp_path)
    assert curves.parameters == {"x": Parameter(categories=(1.0, "auto"))}
    assert [list(curves.results(row)) for row in range(2)] == [[{"loss": 1.0}], [{"loss": 2.0}]]


def test_the_user_names_the_parameters_on_a_logarithmic_scale(tmp_path: Path) -> None:
    write_trial(tmp_path / "a", {"loss": 1.0, "config": {"x": 1.0, "y": 0.0, "k": "a"}})
    write_trial(tmp_path / "b", {"loss": 2.0, "config": {"x": 3.0, "y": 1.0, "k": "b"}})
    assert curves_of_experiment(tmp_path).parameters["x"] == Parameter(1.0, 3.0)
    with_log = curves_of_experiment(tmp_path, log=["x"])
    assert with_log.parameters["x"] == Parameter(1.0, 3.0, log=True)
    with pytest.raises(
        ValueError, match=r"must name parameters that vary \(x, y, k\), but got 'z'"
    ):
        curves_of_experiment(tmp_path, log=["z"])
    with pytest.raises(ValueError, match="'y' has"):
        curves_of_experiment(tmp_path, log=["y"])
    with pytest.raises(ValueError, match="'k' has other values"):
        curves_of_experiment(tmp_path, log=["k"])


def test_a_directory_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be the directory of an experiment with results"):
        curves_of_experiment(tmp_path)
