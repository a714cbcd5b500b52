from __future__ import annotations

import warnings
from typing import Any

import pytest

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.ax import AxSearch
from localtune.search.base import Searcher, load_snapshot, snapshot
from localtune.testing.searcher_contract import SearcherContract
from tests.search.adapters import run_tuner

pytestmark = pytest.mark.slow

SPACE = {"x": tune.uniform(0, 1), "net": {"units": tune.randint(1, 9)}}


class TestAxSearch(SearcherContract):
    takes_rewards = True
    # A suggestion of the model takes seconds: see test_the_model_finds_better_values.
    learns = False

    def make_searcher(self, **arguments: Any) -> Searcher:
        return AxSearch(initialization_budget=30, **arguments)


def search_with(**arguments: Any) -> AxSearch:
    given = {"space": SPACE, "metric": "loss", "mode": "min", "random_seed": 1}
    return AxSearch(**{**given, **arguments})


def data_of(search: AxSearch) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search._client._experiment.lookup_data().df


def client_with(objective: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ax

        client = ax.Client(random_seed=1)
        if objective is not None:
            client.configure_experiment(
                parameters=[
                    ax.RangeParameterConfig(name="x", bounds=(0, 1), parameter_type="float")
                ]
            )
            client.configure_optimization(objective=objective)
    return client


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_the_model_finds_better_values(mode: str, sign: int) -> None:
    search = search_with(space={"x": tune.uniform(-1, 1)}, metric="val/loss", mode=mode)
    configs: list[Any] = []
    for number in range(8):
        configs.append(search.suggest(str(number)))
        search.on_trial_complete(str(number), {"val/loss": sign * (configs[-1]["x"] - 0.5) ** 2})

    assert abs(configs[-1]["x"] - 0.5) < 0.1


def test_constraints_hold() -> None:
    search = search_with(
        space={"a": tune.uniform(0, 1), "b": tune.uniform(0, 1)},
        parameter_constraints=["a + b <= 0.5"],
        outcome_constraints=["latency <= 2"],
    )
    for number in range(4):
        config = search.suggest(str(number))
        assert isinstance(config, dict)
        search.on_trial_complete(str(number), {"loss": config["a"], "latency": 1.5})
        # The centre of the space, which comes first, is moved to where they hold.
        assert config["a"] + config["b"] <= 0.5 + 1e-6

    assert set(data_of(search)["metric_name"]) == {"loss", "latency"}


def test_parameters_in_the_form_of_the_service_interface() -> None:
    search = search_with(
        space=[
            {"name": "a", "type": "range", "bounds": [1e-3, 1.0], "log_scale": True},
            {"name": "b", "type": "range", "bounds": [0, 5]},
            {"name": "c", "type": "fixed", "value": 3},
            {"name": "d", "type": "choice", "values": ["u", "v"], "is_ordered": False},
        ],
        points_to_evaluate=[{"a": 0.5, "b": 5, "d": "v"}],
    )
    assert search.suggest("1") == {"a": 0.5, "b": 5, "c": 3, "d": "v"}
    assert set(search.suggest("2") or ()) == {"a", "b", "c", "d"}


def test_further_arguments_are_those_of_ax() -> None:
    with pytest.raises(TypeError, match="but got initialisation_budget"):
        search_with(initialisation_budget=4)


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "a", "type": "range", "bounds": [0.0, 1.0], "digits": 3},
        {"name": "a", "type": "range", "bounds": [0.0]},
        {"name": "a", "type": "other"},
        {"type": "range", "bounds": [0.0, 1.0]},
    ],
)
def test_parameters_that_are_not_known_are_refused(parameter: dict[str, Any]) -> None:
    with pytest.raises(SearchSpaceError):
        AxSearch([parameter])


def test_a_client_that_is_configured_already() -> None:
    client = client_with("-loss")
    search = AxSearch(ax_client=client, points_to_evaluate=[{"x": 0.25}])
    first, second = search.suggest("1"), search.suggest("2")
    search.on_trial_complete("1", {"loss": 3.0})
    twin = AxSearch()
    load_snapshot(twin, snapshot(search))

    assert (search.metric, search.mode) == ("loss", "min")
    assert first == {"x": 0.25}
    assert set(second or ()) == {"x"}
    assert list(data_of(search)["mean"]) == [3.0]
    assert twin.suggest("3") == search.suggest("3")


def test_arguments_that_contradict_a_client_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be an ax\.Client"):
        AxSearch(ax_client=3)
    with pytest.raises(ValueError, match="must have an experiment and an objective"):
        AxSearch(ax_client=client_with(None))
    with pytest.raises(ValueError, match="Leave out space, metric"):
        AxSearch(ax_client=client_with("loss"), mode="min")


def test_failed_trials_are_abandoned() -> None:
    search = search_with()
    search.suggest("1")
    search.on_trial_complete("1", error=True)

    assert [each.status.name for each in search._client._experiment.trials.values()] == [
        "ABANDONED"
    ]


def test_parameters_with_one_value_are_left_out_for_ax() -> None:
    space = {"x": tune.uniform(0, 1), "one": tune.randint(4, 5), "only": tune.choice(["a"])}
    config = search_with(space=space).suggest("1")

    assert isinstance(config, dict)
    assert (config["one"], config["only"]) == (4, "a")
    assert [each.name for each in AxSearch.convert_search_space(space)] == ["x"]
    with pytest.raises(SearchSpaceError, match="more than one value"):
        AxSearch({"one": tune.randint(4, 5)})


def test_normal_distributions_are_refused() -> None:
    with pytest.raises(SearchSpaceError, match="Ax cannot express"):
        AxSearch({"x": tune.randn()})


def test_a_run_with_processes() -> None:
    run_tuner("ax", SPACE, num_samples=4)
