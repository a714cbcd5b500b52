from __future__ import annotations

import json
import logging
import math
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import localtune as tune
from localtune.error import SearchSpaceError
from localtune.search.base import Searcher
from localtune.search.optuna import OptunaSearch
from localtune.search.pickled_parts import Archive
from localtune.search.search_generator import SearchGenerator
from localtune.testing.searcher_contract import SearcherContract, Session
from localtune.trial.status import Status
from localtune.trial.trial import Trial

pytestmark = pytest.mark.slow

SPACE = {"x": tune.uniform(0, 1), "m": {"n": tune.randint(0, 5)}}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def trials_of(search: OptunaSearch) -> list[Any]:
    assert search._study is not None
    return search._study.get_trials()


def search_with(**arguments: Any) -> OptunaSearch:
    return OptunaSearch(**{"space": SPACE, "metric": "loss", "mode": "min", "seed": 1, **arguments})


# -- spaces -----------------------------------------------------------------------------------


def test_domains_become_distributions() -> None:
    converted = OptunaSearch.convert_search_space(
        {
            "uniform": tune.uniform(0, 1),
            "quniform": tune.quniform(0, 1, 0.25),
            "loguniform": tune.loguniform(0.1, 1),
            "qloguniform": tune.qloguniform(0.5, 1, 0.5),
            "m": {"randint": tune.randint(0, 5), "qrandint": tune.qrandint(1, 11, 5)},
            "lograndint": tune.lograndint(1, 9),
            "qlograndint": tune.qlograndint(1, 9, 4),
            "choice": tune.choice(["a", None]),
            "constant": 1,
        }
    )

    assert converted == {
        "uniform": FloatDistribution(0, 1),
        "quniform": FloatDistribution(0, 1, step=0.25),
        "loguniform": FloatDistribution(0.1, 1, log=True),
        "qloguniform": FloatDistribution(0.5, 1, log=True),
        "m/randint": IntDistribution(0, 4),
        "m/qrandint": IntDistribution(5, 10, step=5),
        "lograndint": IntDistribution(1, 8, log=True),
        "qlograndint": IntDistribution(4, 8, log=True),
        "choice": CategoricalDistribution(("a", None)),
    }


@pytest.mark.parametrize("domain", [tune.randn(), tune.qrandn(0, 1, 0.5), tune.grid_search([1])])
def test_a_domain_that_optuna_cannot_express_is_refused(domain: Any) -> None:
    with pytest.raises(SearchSpaceError, match="Optuna cannot"):
        OptunaSearch({"x": domain})


def test_a_quantum_on_a_log_scale_is_kept() -> None:
    search = search_with(
        space={"x": tune.qlograndint(2, 64, 2), "y": tune.qloguniform(0.5, 8, 0.5)}
    )
    configs = [search.suggest(str(number)) for number in range(20)]

    assert all(config["x"] % 2 == 0 and config["y"] % 0.5 == 0 for config in configs)


def test_options_of_any_type_are_given_as_they_are() -> None:
    options = [[1, 2], {"a": 1}, len, 1, True, 1.0]
    search = search_with(space={"x": tune.choice(options)})
    found = [search.suggest(str(number))["x"] for number in range(40)]

    assert all(any(value is option for option in options) for value in found)
    assert {id(value) for value in found} == {id(option) for option in options}


def test_optunas_own_distributions_may_be_nested() -> None:
    search = search_with(
        space={"x": FloatDistribution(0, 1), "m": {"n": IntDistribution(3, 3)}},
        points_to_evaluate=[{"x": 0.5, "m/n": 3}],
    )

    assert search.suggest("a") == {"x": 0.5, "m": {"n": 3}}


@pytest.mark.parametrize("other", [3, tune.uniform(0, 1)])
def test_distributions_are_not_mixed_with_anything_else(other: Any) -> None:
    with pytest.raises(TypeError, match="'y'"):
        OptunaSearch({"x": FloatDistribution(0, 1), "y": other})


@pytest.mark.parametrize(
    "point", [{"x": 0.5}, {"x": 0.5, "n": 3, "k": 1}, {"x": 2.0, "n": 3}, {"x": "a", "n": 3}]
)
def test_points_that_do_not_fit_distributions_are_refused(point: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"points_to_evaluate\[0\]"):
        search_with(
            space={"x": FloatDistribution(0, 1), "n": IntDistribution(0, 4)},
            points_to_evaluate=[point],
        )


@pytest.mark.parametrize("space", [3, "x", [1]])
def test_a_value_that_is_no_space_is_refused(space: Any) -> None:
    with pytest.raises(TypeError, match="space must be"):
        OptunaSearch(space)


def _defined_by_run(trial: Any) -> dict[str, Any]:
    if trial.suggest_categorical("kind", ["a", "b"]) == "a":
        trial.suggest_float("m/x", 0, 1)
    return {"m/constant": 3}


def test_a_function_defines_a_conditional_space() -> None:
    search = search_with(space=_defined_by_run, points_to_evaluate=[{"kind": "a", "m/x": 0.5}])
    configs = [search.suggest(str(number)) for number in range(12)]

    assert configs[0] == {"kind": "a", "m": {"x": 0.5, "constant": 3}}
    assert {(each["kind"], "x" in each["m"]) for each in configs} == {("a", True), ("b", False)}


def test_rewards_are_known_to_a_space_that_a_function_defines() -> None:
    search = search_with(
        space=_defined_by_run, points_to_evaluate=[{"kind": "b"}], evaluated_rewards=[2.0]
    )
    search.suggest("a")

    first = trials_of(search)[0]
    assert (first.params, first.value, first.state) == ({"kind": "b"}, 2.0, TrialState.COMPLETE)


@pytest.mark.parametrize("returned", [3, {1: 2}])
def test_a_function_that_returns_no_constants_is_refused(returned: Any) -> None:
    search = search_with(space=lambda trial: returned)

    with pytest.raises(TypeError, match="function"):
        search.suggest("a")
    assert trials_of(search)[0].state is TrialState.FAIL


def test_an_error_in_the_function_reaches_the_user() -> None:
    search = search_with(space=lambda trial: trial.suggest_float("x", "a", 1))

    with pytest.raises(Exception, match="a"):
        search.suggest("a")
    assert trials_of(search)[0].state is TrialState.FAIL


# -- results ----------------------------------------------------------------------------------


def test_ends_become_states_of_the_study(caplog: pytest.LogCaptureFixture) -> None:
    search = search_with()
    for trial_id in "abcdef":
        search.suggest(trial_id)
    search.on_trial_result("a", {"loss": 3.0, "training_iteration": 1})
    search.on_trial_result("a", {"other": 3.0, "training_iteration": 2})
    search.on_trial_complete("a", {"loss": 2.0})
    search.on_trial_complete("b", error=True)
    search.on_trial_complete("c")
    search.on_trial_complete("d", {"loss": math.nan})
    search.on_trial_complete("e", {"other": 1.0})
    with caplog.at_level(logging.WARNING):
        search.on_trial_complete("a", {"loss": 9.0})

    trials = trials_of(search)
    assert [trial.state.name for trial in trials] == [
        "COMPLETE",
        "FAIL",
        "PRUNED",
        "FAIL",
        "FAIL",
        "RUNNING",
    ]
    assert trials[0].value == 2.0
    assert trials[0].intermediate_values == {1: 3.0}
    assert "already has its result" in caplog.text


def test_several_metrics_are_optimised() -> None:
    search = search_with(metric=["loss", "size"], mode=["min", "max"])
    search.suggest("a")
    search.suggest("b")
    search.on_trial_result("a", {"loss": 1.0, "size": 2.0, "training_iteration": 1})
    search.on_trial_complete("a", {"loss": 1.0, "size": 2.0})
    search.on_trial_complete("b", {"loss": 1.0, "size": math.nan})

    assert search._study is not None
    assert [each.name for each in search._study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert trials_of(search)[0].values == [1.0, 2.0]
    assert trials_of(search)[1].state is TrialState.FAIL


def test_a_metric_that_is_only_observed_is_refused() -> None:
    with pytest.raises(ValueError, match="obs"):
        search_with(metric=["loss", "size"], mode=["min", "obs"])


def test_only_a_mode_means_the_metric_without_a_name() -> None:
    search = OptunaSearch(SPACE, mode="max")
    search.suggest("a")
    search.on_trial_complete("a", {"_metric": 3.0})

    assert trials_of(search)[0].value == 3.0


def test_a_suggestion_needs_a_space_and_an_objective() -> None:
    with pytest.raises(RuntimeError, match="search space and no metric and no mode"):
        OptunaSearch().suggest("a")


def test_the_study_gets_evaluated_points() -> None:
    search = OptunaSearch(metric="loss", mode="min")
    search.add_evaluated_point({"x": 0.5, "m/n": 2}, 1.0, intermediate_values=[3.0, 2.0])
    search.add_evaluated_point({"x": 0.5, "m/n": 3}, 1.0, pruned=True)
    search.add_evaluated_point({"x": 0.5, "m/n": 4}, math.nan)
    assert search.set_search_properties(None, None, {**SPACE, "k": 1})
    search.suggest("a")
    search.add_evaluated_point({"x": 0.5, "m/n": 1}, 0.5, error=True)

    states = [trial.state.name for trial in trials_of(search)]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "RUNNING", "FAIL"]
    assert trials_of(search)[0].intermediate_values == {1: 3.0, 2: 2.0}


def test_the_study_gets_the_trials_of_an_earlier_run() -> None:
    trial = Trial("train", trial_id="a", config={"x": 0.25, "m": {"n": 2}, "other": [1]})
    trial.status = Status.TERMINATED
    trial.last_result = {"loss": 0.75}
    search = search_with()
    search.add_evaluated_trials(trial, "loss")
    search.suggest("a")

    assert trials_of(search)[0].params == {"x": 0.25, "m/n": 2}
    assert trials_of(search)[0].value == 0.75


def test_an_evaluated_point_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'m/n' is missing"):
        search_with().add_evaluated_point({"x": 0.5}, 1.0)


# -- sampler, seed, storage -------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, "tpe", 3])
def test_a_value_that_is_no_sampler_is_refused(sampler: Any) -> None:
    with pytest.raises(TypeError, match="sampler"):
        OptunaSearch(SPACE, sampler=sampler)


def test_a_seed_beside_a_sampler_is_ignored_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    OptunaSearch(SPACE, sampler=optuna.samplers.RandomSampler(seed=1), seed=2)

    assert "seed=2 is ignored" in caplog.text


def test_the_own_seed_goes_before_that_of_the_run() -> None:
    first, second = (
        Session(OptunaSearch(seed=5), SPACE, seed=seed).run(3, lambda config: 0.0)
        for seed in (1, 2)
    )

    assert first == second


def test_a_study_in_a_storage_goes_on(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    studies: list[Any] = []
    for number in range(2):
        search = search_with(storage=storage, study_name="mine")
        search.suggest(f"trial_{number}")
        search.on_trial_complete(f"trial_{number}", {"loss": float(number)})
        studies.append(search._study)
    studies.append(optuna.load_study(storage=storage, study_name="mine"))
    values = [trial.value for trial in studies[-1].get_trials()]
    for each in studies:
        each._storage._backend.engine.dispose()

    assert values == [0.0, 1.0]


def test_a_restored_searcher_adds_no_result_to_a_storage_twice() -> None:
    storage = optuna.storages.InMemoryStorage()
    search = search_with(storage=storage)
    search.suggest("a")
    state = pickle.loads(pickle.dumps(search.get_state()))
    twin = search_with()
    twin.set_state(state)
    for each in (search, twin):
        each.on_trial_complete("a", {"loss": 1.0})

    assert [trial.value for trial in trials_of(twin)] == [1.0]
    assert [trial.value for trial in trials_of(search)] == [1.0]


def test_points_are_not_evaluated_again_after_a_restart() -> None:
    points = [{"x": 0.5, "m": {"n": n}} for n in range(3)]
    first, second = (search_with(points_to_evaluate=points) for _ in range(2))
    assert first.suggest("a") == points[0]
    second.set_state(pickle.loads(pickle.dumps(first.get_state())))

    assert [second.suggest(each) for each in "bc"] == points[1:]
    assert second.suggest("d") not in points


def test_each_ended_trial_of_the_study_is_written_once() -> None:
    generator = SearchGenerator(search_with())
    generator.setup({}, -1)
    generator.archive = Archive()
    written: dict[str, bytes] = {}
    sizes = []
    for number in range(20):
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        state = pickle.dumps(generator.get_state())
        new = generator.archive.unwritten()
        assert len(new) == (number > 0) and not new.keys() & written.keys()
        written |= new
        sizes.append(len(state))
        trial_id = suggestion.trial_id
        generator.on_trial_complete(trial_id, {"loss": float(number)})
    assert sizes[-1] - sizes[1] < 200

    twin = SearchGenerator(search_with())
    twin.setup({}, -1)
    twin.archive = Archive()
    twin.archive.read = written.get
    twin.set_state(pickle.loads(state))
    twin.on_trial_complete(trial_id, {"loss": 19.0})

    assert twin.archive.unwritten() == written, "a resumed run has all parts on its own record"
    one, other = (cast("OptunaSearch", each.searcher) for each in (generator, twin))
    assert [each.params for each in trials_of(other)] == [each.params for each in trials_of(one)]
    assert [other.suggest(each) for each in "ab"] == [one.suggest(each) for each in "ab"]


def test_a_state_of_schema_4_is_restored() -> None:
    first, second = search_with(), search_with()
    for number in range(15):
        first.suggest(str(number))
        first.on_trial_complete(str(number), {"loss": float(number % 4)})
    first.suggest("live")
    state = first.get_state()
    ended, unended = state.pop("ended"), state.pop("unended")
    second.set_state(pickle.loads(pickle.dumps({**state, "trials": [*ended, *unended]})))
    for each in (first, second):
        each.on_trial_complete("live", {"loss": 0.5})

    assert [second.suggest(each) for each in "ab"] == [first.suggest(each) for each in "ab"]
    assert len(second.get_state()["ended"]) == 16


# -- the whole --------------------------------------------------------------------------------


def _train(config: dict[str, Any]) -> None:
    for step in range(2):
        tune.report({"loss": (config["x"] - 0.5) ** 2 + config["m"]["n"] - step})


def test_a_run_with_real_workers(tmp_path: Path) -> None:
    def fit(name: str) -> tune.ResultGrid:
        return tune.Tuner(
            _train,
            param_space={**SPACE, "y": tune.sample_from(lambda config: config["x"] * 2), "k": 1},
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                search_alg=OptunaSearch(points_to_evaluate=[{"x": 0.5, "m": {"n": 0}}]),
                num_samples=6,
                max_concurrent_trials=1,
                seed=3,
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), name=name, verbose=0),
        ).fit()

    results, again = fit("first"), fit("second")
    configs = [result.config for result in results]

    assert len(results) == 6
    assert not results.errors
    assert results.get_best_result().config == {"x": 0.5, "m": {"n": 0}, "y": 1.0, "k": 1}
    assert configs == [result.config for result in again]


class _Noted(OptunaSearch):
    """Records the calls of its study."""

    notes: Path

    def on_trial_complete(self, *args: Any, **more: Any) -> None:
        super().on_trial_complete(*args, **more)
        self.notes.write_text(json.dumps([trial.values for trial in trials_of(self)]))


def test_a_run_with_two_metrics_and_real_workers(tmp_path: Path) -> None:
    sampler = optuna.samplers.NSGAIISampler(population_size=4, seed=1)
    search = _Noted(metric=["loss", "size"], mode=["min", "max"], sampler=sampler)
    search.notes = tmp_path / "notes"
    results = tune.Tuner(
        _train_for_two,
        param_space=SPACE,
        tune_config=tune.TuneConfig(search_alg=search, num_samples=10, max_concurrent_trials=2),
        run_config=tune.RunConfig(storage_path=str(tmp_path), name="run", verbose=0),
    ).fit()

    assert not results.errors
    reported = [result.metrics or {} for result in results]
    told = json.loads(search.notes.read_text())
    assert sorted(told) == sorted([each["loss"], each["size"]] for each in reported)


def _train_for_two(config: dict[str, Any]) -> None:
    for step in range(2):
        tune.report({"loss": config["x"] - step, "size": config["m"]["n"] * config["x"]})


class _InterruptOnce(tune.Callback):
    """Ends the run, as Ctrl-C does, after its third trial, unless there is a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark
        self.count = 0

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        self.count += 1
        if self.count == 3 and not self.mark.exists():
            self.mark.touch()
            signal.raise_signal(signal.SIGINT)


def test_a_run_that_was_interrupted_goes_on_with_the_same_search(tmp_path: Path) -> None:
    def tuner(name: str) -> tune.Tuner:
        return tune.Tuner(
            _train,
            param_space=SPACE,
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                # With two random trials only, so that the model matters.
                search_alg=OptunaSearch(
                    sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=2)
                ),
                num_samples=7,
                max_concurrent_trials=1,
                seed=3,
            ),
            run_config=tune.RunConfig(
                storage_path=str(tmp_path),
                name=name,
                verbose=0,
                callbacks=[_InterruptOnce(tmp_path / "mark")],
            ),
        )

    first = tuner("interrupted").fit()
    resumed = tune.Tuner.restore(str(tmp_path / "interrupted"), _train).fit()
    whole = tuner("whole").fit()

    assert len(first) < 7
    assert [each.config for each in resumed] == [each.config for each in whole]
    assert len(whole) == 7


def test_a_missing_library_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['optuna'] = None\n"
        "from localtune.error import ExtraMissingError\n"
        "from localtune.search.optuna import OptunaSearch\n"
        "try:\n    OptunaSearch()\n"
        "except ExtraMissingError as error:\n    assert 'localtune-runner[optuna]' in str(error)\n"
        "else:\n    raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# -- the suite of all -----------------------------------------------------------------------------


class _OptunaContract(SearcherContract):
    takes_rewards = True
    is_conditional = True
    learns = False

    def make_searcher(self, **arguments: Any) -> Searcher:
        return OptunaSearch(sampler=self.sampler(), **arguments)

    def sampler(self) -> Any:
        return None


class TestTPE(_OptunaContract):
    learns = True


class TestRandom(_OptunaContract):
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=1)


class TestNSGA2(_OptunaContract):
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        return optuna.samplers.NSGAIISampler(population_size=5, seed=1)


class TestCMAES(_OptunaContract):
    learns = True
    takes_seed = False

    def sampler(self) -> Any:
        import optuna

        # Choices, and what depends on them, are drawn at random.
        return optuna.samplers.CmaEsSampler(seed=1, warn_independent_sampling=False)
