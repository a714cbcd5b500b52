from __future__ import annotations

import copy
import math
import pickle
import random
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from localtune.error import SearchSpaceError
from localtune.search.sample import (
    Categorical,
    Domain,
    Expression,
    Float,
    Function,
    Grid,
    Integer,
    LogUniform,
    Normal,
    Quantized,
    Sampler,
    Uniform,
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
    without_grids,
)

SEEDS = st.integers(0, 2**32)
FLOATS = st.floats(-1e308, 1e308)
POSITIVE = st.floats(1e-300, 1e300)
QUANTA = st.sampled_from([0.001, 0.1, 0.2, 0.25, 0.3, 1.0, 7.5, 1e-7])
INTS = st.integers(-(10**20), 10**20)


def is_multiple(value: float, q: float) -> bool:
    return math.isclose(value / q, round(value / q), rel_tol=1e-9, abs_tol=1e-9)


# -- values and their bounds ----------------------------------------------------------------


@given(FLOATS, FLOATS, SEEDS)
def test_uniform_stays_below_its_upper_bound(first: float, second: float, seed: int) -> None:
    lower, upper = sorted((first, second))
    value = uniform(lower, upper).sample(random_state=seed)

    assert type(value) is float
    assert lower <= value < upper or lower == value == upper


@given(POSITIVE, POSITIVE, SEEDS)
def test_loguniform_stays_below_its_upper_bound(first: float, second: float, seed: int) -> None:
    lower, upper = sorted((first, second))
    value = loguniform(lower, upper).sample(random_state=seed)

    assert type(value) is float
    assert lower <= value < upper or lower == value == upper


@given(INTS, st.integers(1, 10**20), SEEDS)
def test_randint_leaves_its_upper_bound_out(lower: int, span: int, seed: int) -> None:
    value = randint(lower, lower + span).sample(random_state=seed)

    assert type(value) is int
    assert lower <= value < lower + span


@given(st.integers(1, 10**20), st.integers(1, 10**20), SEEDS)
def test_lograndint_leaves_its_upper_bound_out(lower: int, span: int, seed: int) -> None:
    value = lograndint(lower, lower + span).sample(random_state=seed)

    assert type(value) is int
    assert lower <= value < lower + span


@given(st.integers(-1000, 1000), st.integers(0, 1000), QUANTA, SEEDS)
def test_quniform_gives_multiples_within_its_bounds(
    first: int, steps: int, q: float, seed: int
) -> None:
    lower, upper = first * q, (first + steps) * q
    value = quniform(lower, upper, q).sample(random_state=seed)

    assert type(value) is float
    assert lower <= value <= upper
    assert is_multiple(value, q)


@given(st.integers(1, 1000), st.integers(0, 1000), QUANTA, SEEDS)
def test_qloguniform_gives_multiples_within_its_bounds(
    first: int, steps: int, q: float, seed: int
) -> None:
    lower, upper = first * q, (first + steps) * q
    value = qloguniform(lower, upper, q).sample(random_state=seed)

    assert type(value) is float
    assert lower <= value <= upper
    assert is_multiple(value, q)


@given(st.floats(-100, 100), st.floats(0.1, 100), QUANTA, SEEDS)
def test_qrandn_gives_multiples(mean: float, sd: float, q: float, seed: int) -> None:
    value = qrandn(mean, sd, q).sample(random_state=seed)

    assert type(value) is float
    assert is_multiple(value, q)


@given(INTS, st.integers(1, 10**6), st.integers(2, 1000), SEEDS)
def test_qrandint_gives_multiples_within_its_bounds(
    lower: int, span: int, q: int, seed: int
) -> None:
    upper = lower + span
    assume(-(-lower // q) * q <= upper)
    value = qrandint(lower, upper, q).sample(random_state=seed)

    assert type(value) is int
    assert lower <= value <= upper
    assert value % q == 0


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(2, 1000), SEEDS)
def test_qlograndint_gives_multiples_within_its_bounds(
    lower: int, span: int, q: int, seed: int
) -> None:
    upper = lower + span
    assume(-(-lower // q) * q <= upper)
    value = qlograndint(lower, upper, q).sample(random_state=seed)

    assert type(value) is int
    assert lower <= value <= upper
    assert value % q == 0


def test_randn_has_its_mean_and_deviation() -> None:
    values = randn(10, 2).sample(size=4000, random_state=1)

    assert all(type(value) is float for value in values)
    assert np.mean(values) == pytest.approx(10, abs=0.2)
    assert np.std(values) == pytest.approx(2, abs=0.2)


def test_loguniform_draws_orders_of_magnitude_with_equal_probability() -> None:
    values = loguniform(1e-4, 1e0).sample(size=4000, random_state=1)
    magnitudes = Counter(math.floor(math.log10(value)) for value in values)

    assert set(magnitudes) == {-4, -3, -2, -1}
    assert all(800 < count < 1200 for count in magnitudes.values())


def test_lograndint_draws_orders_of_magnitude_with_equal_probability() -> None:
    values = lograndint(1, 1000).sample(size=3000, random_state=1)
    magnitudes = Counter(math.floor(math.log10(value)) for value in values)

    assert set(magnitudes) == {0, 1, 2}
    assert all(800 < count < 1200 for count in magnitudes.values())


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (randint(0, 3), {0, 1, 2}),
        (qrandint(0, 10, 2), {0, 2, 4, 6, 8, 10}),
        (qrandint(-21, 12, 3), set(range(-21, 13, 3))),
        (qrandint(1, 10, 4), {4, 8}),
        (qrandint(0, 3, 1), {0, 1, 2}),
        (qrandint(0, 3), {0, 1, 2}),
        (qlograndint(1, 10, 2), {2, 4, 6, 8, 10}),
        (qlograndint(1, 4, 1), {1, 2, 3}),
        (lograndint(1, 4), {1, 2, 3}),
        (quniform(3.2, 4.0, 0.2), {3.2, 3.4, 3.6, 3.8, 4.0}),
        (quniform(0, 3, 1), {0.0, 1.0, 2.0, 3.0}),
        (qloguniform(1e-4, 3e-4, 5e-5), {1e-4, 1.5e-4, 2e-4, 2.5e-4, 3e-4}),
        (choice(["a", "b"]), {"a", "b"}),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_all_values_come_and_no_others(domain: Domain, values: set[Any]) -> None:
    drawn = domain.sample(size=1000, random_state=3)

    assert {round(v, 9) if isinstance(v, float) else v for v in drawn} == values


def test_quantised_integers_have_equal_probability() -> None:
    counts = Counter(qrandint(0, 10, 2).sample(size=6000, random_state=1))

    assert all(850 < count < 1150 for count in counts.values())


def test_a_bound_that_a_multiple_misses_by_rounding_is_met() -> None:
    assert max(quniform(0, 0.3, 0.1).sample(size=100, random_state=0)) == 0.3


def test_equal_bounds_give_their_value() -> None:
    assert uniform(2, 2).sample() == 2.0
    assert loguniform(2, 2).sample() == pytest.approx(2.0)
    assert quniform(2, 2, 1).sample() == 2.0


def test_a_range_wider_than_the_largest_float_can_be_sampled() -> None:
    values = uniform(-1.5e308, 1.5e308).sample(size=100, random_state=1)

    assert min(values) < 0 < max(values)


def test_a_choice_passes_its_values_by_identity() -> None:
    thing = object()

    assert choice([thing]).sample() is thing


def test_a_choice_takes_any_iterable() -> None:
    assert choice(range(3)).categories == [0, 1, 2]
    assert choice(iter("ab")).categories == ["a", "b"]
    assert choice({"x": 1}).categories == ["x"]


def test_a_choice_over_a_set_has_the_same_order_in_each_process() -> None:
    assert choice({"b", "c", "a"}).categories == ["a", "b", "c"]


def test_a_choice_over_an_array_gives_numbers_of_python() -> None:
    categories = choice(np.array([1, 2])).categories

    assert categories == [1, 2]
    assert all(type(value) is int for value in categories)
    rows = choice(np.eye(2)).categories
    assert [type(row) for row in rows] == [np.ndarray, np.ndarray]


def test_bounds_may_be_numbers_of_numpy() -> None:
    domain = randint(np.int64(1), np.int32(5))

    assert (type(domain.lower), type(domain.upper)) == (int, int)
    assert type(uniform(np.float32(1), np.float64(2)).lower) is float


def test_whole_floats_are_whole_numbers() -> None:
    assert randint(0, 1e3).upper == 1000  # type: ignore[arg-type]


# -- errors ---------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uniform(2, 1), "lower must be at most upper, but got lower=2 and upper=1"),
        (lambda: uniform(NAN, 1), "lower must be a number, but got NaN"),
        (lambda: uniform(0, NAN), "upper must be a number, but got NaN"),
        (lambda: uniform(-INF, 1), "lower must be finite, but got -inf"),
        (lambda: uniform(0, INF), "upper must be finite, but got inf"),
        (lambda: uniform(None, 1), "lower must be finite"),  # type: ignore[arg-type]
        (lambda: uniform(0, None), "upper must be finite"),  # type: ignore[arg-type]
        (lambda: uniform("0", 1), "lower must be a number, but got '0'"),  # type: ignore[arg-type]
        (lambda: quniform(0, 1, 0), "q must be above 0, but got 0"),
        (lambda: quniform(0, 1, -0.5), "q must be above 0, but got -0.5"),
        (lambda: quniform(0, 1, NAN), "q must be a number"),
        (lambda: quniform(0, 1, INF), "q must be finite"),
        (lambda: quniform(0, 1, 0.3), "upper must be a multiple of q=0.3, but got 1.0"),
        (lambda: quniform(0.1, 0.9, 0.3), "lower must be a multiple of q=0.3, but got 0.1"),
        (lambda: loguniform(0, 1), "lower must be above 0 on a log scale, but got 0.0"),
        (lambda: loguniform(-1, 1), "lower must be above 0"),
        (lambda: loguniform(1, INF), "upper must be finite"),
        (lambda: loguniform(INF, INF), "lower must be finite"),
        (lambda: loguniform(2, 1), "lower must be at most upper"),
        (lambda: qloguniform(0.1, 1, 0.3), "lower must be a multiple of q=0.3"),
        (lambda: randn(0, 0), "sd must be above 0, but got 0"),
        (lambda: randn(0, -1), "sd must be above 0"),
        (lambda: randn(0, NAN), "sd must be a number"),
        (lambda: randn(INF, 1), "mean must be finite"),
        (lambda: qrandn(0, 1, 0), "q must be above 0"),
        (lambda: Float(0, 1).normal(), r"no bounds, but got \(0.0, 1.0\)"),
        (lambda: Float(upper=1).normal(), "no bounds"),
        (lambda: Float().uniform(), "lower must be finite"),
        (lambda: randint(1, 1), "lower must be below upper, but got lower=1 and upper=1"),
        (lambda: randint(2, 1), "lower must be below upper"),
        (lambda: randint(0, 1.5), "upper must be a whole number"),  # type: ignore[arg-type]
        (lambda: randint(0, "9"), "upper must be a number"),  # type: ignore[arg-type]
        (lambda: randint(0, INF), "upper must be finite"),  # type: ignore[arg-type]
        (lambda: lograndint(0, 5), "lower must be above 0 on a log scale, but got 0"),
        (lambda: lograndint(5, 5), "lower must be below upper"),
        (lambda: qrandint(0, 9, 0), "q must be above 0"),
        (lambda: qrandint(0, 9, 0.5), "q must be a whole number"),  # type: ignore[arg-type]
        (lambda: qrandint(1, 3, 5), "must be a multiple of q=5 from lower to upper"),
        (lambda: qlograndint(1, 3, 5), "must be a multiple of q=5 from lower to upper"),
        (lambda: choice([]), "needs at least one value"),
        (lambda: grid_search([]), "grid_search needs at least one value"),
        (lambda: grid_search(5), "grid_search needs an iterable"),  # type: ignore[arg-type]
        (lambda: grid_search("abc"), "grid_search needs a list of values, but got 'abc'"),
        (lambda: sample_from(lambda a, b: 1), "no argument, or the configuration.*needs a, b"),
        (lambda: sample_from(lambda *, a: 1), "no argument, or the configuration.*needs a"),
        (lambda: Expression("1 +"), "must hold a Python expression"),
        (lambda: Float(0, 1).uniform().uniform(), "takes one sampler"),
        (lambda: Categorical([1]).grid().sample(), "cannot be sampled"),
        (lambda: Categorical([1])._with(LogUniform()).sample(), "cannot be sampled log-uniformly"),
    ],
)
def test_a_domain_that_cannot_be_sampled_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SearchSpaceError, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("make", "value"), [(choice, 5), (choice, None), (sample_from, 5)])
def test_an_argument_of_the_wrong_type_is_refused(make: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=f"needs .*but got {value}"):
        make(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda base: loguniform(1, 10, base),
        lambda base: qloguniform(1, 10, 1, base),
        lambda base: lograndint(1, 10, base),
        lambda base: qlograndint(1, 10, 1, base),
        lambda base: Float(1, 10).loguniform(base),
        lambda base: Integer(1, 10).loguniform(base),
        lambda base: Float(1, 10)._with(LogUniform(base)),
    ],
)
def test_a_base_is_ignored_with_a_warning(make: Any) -> None:
    usual = make(10).sample(size=5, random_state=1)
    with pytest.warns(DeprecationWarning, match=r"base=2 is ignored") as caught:
        domain = make(2)

    assert domain.sample(size=5, random_state=1) == usual
    assert caught[0].filename == __file__


# -- the interface of domains ---------------------------------------------------------------


def test_sampling_never_changes_a_domain() -> None:
    domain = Float(0, 1)
    before = copy.deepcopy(vars(domain))

    domain.sample(size=3)
    domain.uniform().sample()
    domain.quantized(0.5)

    assert vars(domain) == before
    assert domain.sampler is None


@pytest.mark.parametrize(
    "domain", [uniform(0, 1), randint(0, 10**6), choice(range(10**6)), randn()], ids=repr
)
def test_the_same_seed_gives_the_same_values(domain: Domain) -> None:
    assert domain.sample(size=5, random_state=9) == domain.sample(size=5, random_state=9)
    assert domain.sample(size=5, random_state=9) != domain.sample(size=5, random_state=8)


def test_a_generator_gives_other_values_each_time() -> None:
    for source in (random.Random(1), np.random.default_rng(1), np.random.RandomState(1)):
        values = [uniform(0, 1).sample(random_state=source) for _ in range(10)]
        assert len(set(values)) == 10


def test_seeding_numpy_makes_draws_repeatable() -> None:
    np.random.seed(4)
    first = [uniform(0, 1).sample(), randint(0, 10**9).sample()]
    np.random.seed(4)

    assert [uniform(0, 1).sample(), randint(0, 10**9).sample()] == first


def test_seeding_python_makes_draws_repeatable_without_numpy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    random.seed(4)
    first = [uniform(0, 1).sample(), randint(0, 10**9).sample()]
    random.seed(4)

    assert [uniform(0, 1).sample(), randint(0, 10**9).sample()] == first


def test_a_size_gives_a_list() -> None:
    assert choice(["x"]).sample(size=2) == ["x", "x"]
    assert sample_from(lambda: 3).sample(size=2) == [3, 3]


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (uniform(0, 1), [0, 0.5, 1], [-0.1, 1.1, "a", None, math.nan]),
        (randint(0, 5), [0, 5, 2.5], [-1, 6, "a"]),
        (randn(), [-1e9, 1e9], ["a", None]),
        (choice([1, "a"]), [1, "a"], [2, "b"]),
        (sample_from(lambda: 1), [1, "a", None], []),
        (Expression("1"), [1, "a", None], []),
    ],
)
def test_validity_is_a_closed_interval_or_membership(
    domain: Domain, inside: list[Any], outside: list[Any]
) -> None:
    assert [domain.is_valid(value) for value in inside] == [True] * len(inside)
    assert [domain.is_valid(value) for value in outside] == [False] * len(outside)


def test_an_array_in_a_choice_is_only_itself() -> None:
    array = np.zeros(2)

    assert choice([array]).is_valid(array)
    assert not choice([array]).is_valid(np.zeros(2))


def test_kinds_of_domains_are_distinguished() -> None:
    assert [d.is_grid() for d in (Categorical([1]).grid(), choice([1]), randn())] == [
        True,
        False,
        False,
    ]
    assert [d.is_function() for d in (sample_from(lambda: 1), Expression("1"), randn())] == [
        True,
        True,
        False,
    ]


def test_samplers_say_how_values_are_drawn() -> None:
    quantized = quniform(0, 1, 0.5).get_sampler()

    assert isinstance(quantized, Quantized)
    assert quantized.q == 0.5
    assert isinstance(quantized.get_sampler(), Uniform)
    assert isinstance(loguniform(1, 2).get_sampler(), LogUniform)
    assert isinstance(Categorical([1]).grid().get_sampler(), Grid)
    assert isinstance(Integer(0, 1).get_sampler(), Uniform)
    normal = randn(3, 2).get_sampler()
    assert isinstance(normal, Normal)
    assert (normal.mean, normal.sd) == (3.0, 2.0)


def test_libraries_tell_samplers_by_their_text() -> None:
    domains = [uniform(0, 1), loguniform(1, 10), randn(), randint(0, 5)]
    assert [str(each.get_sampler()) for each in domains] == [
        "Uniform",
        "LogUniform",
        "Normal",
        "Uniform",
    ]
    assert LogUniform(10).base == 10


def test_a_second_sampler_is_refused_unless_it_may_replace_the_first() -> None:
    domain = Float(1, 2)
    domain.set_sampler(Uniform())
    with pytest.raises(SearchSpaceError, match="allow_override=True"):
        domain.set_sampler(LogUniform())

    domain.set_sampler(LogUniform(), allow_override=True)

    assert isinstance(domain.get_sampler(), LogUniform)


def test_users_can_write_samplers_and_domains() -> None:
    class Highest(Sampler):
        def draw(self, domain: Any, rng: random.Random) -> Any:
            return domain.upper

    class Even(Domain):
        default_sampler_cls = Uniform

        def draw_uniform(self, rng: random.Random) -> int:
            return 2 * rng.randrange(50)

    highest = Float(0, 7)
    highest.set_sampler(Highest())

    assert highest.sample() == 7.0
    assert Even().sample(random_state=1) % 2 == 0
    with pytest.raises(SearchSpaceError, match="has no sampler"):
        Domain().sample()


def test_a_choice_is_a_sequence_of_its_values() -> None:
    domain = choice(["a", "b", "c"])

    assert len(domain) == 3
    assert domain[1] == "b"
    assert domain[-2:] == ["b", "c"]


def test_values_are_cast_to_the_type_of_the_domain() -> None:
    assert type(uniform(0, 1).cast(np.float32(1))) is float
    assert type(randint(0, 1).cast(1.0)) is int
    assert choice(["a"]).cast("a") == "a"


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (uniform(0, 1), "Float(0.0, 1.0).uniform()"),
        (quniform(0, 1, 0.5), "Float(0.0, 1.0).uniform().quantized(0.5)"),
        (loguniform(1, 2), "Float(1.0, 2.0).loguniform()"),
        (randn(0, 1), "Float(-inf, inf).normal(0.0, 1.0)"),
        (Float(0, 1), "Float(0.0, 1.0)"),
        (qlograndint(2, 8, 2), "Integer(2, 8).loguniform().quantized(2)"),
        (choice(["a"]), "Categorical(['a']).uniform()"),
        (Categorical([1]).grid(), "Categorical([1]).grid()"),
        (sample_from(len), "Function(len)"),
        (Expression("1 + 1"), "Expression('1 + 1')"),
    ],
)
def test_a_domain_has_a_readable_repr(domain: Domain, text: str) -> None:
    assert repr(domain) == text


@pytest.mark.parametrize(
    "domain", [qrandint(0, 10, 2), qloguniform(1, 2, 0.5), choice(["a"]), Expression("1")], ids=repr
)
def test_domains_can_be_pickled_and_copied(domain: Domain) -> None:
    for twin in (pickle.loads(pickle.dumps(domain)), copy.deepcopy(domain)):
        assert repr(twin) == repr(domain)
        assert twin.sample(random_state=1) == domain.sample(random_state=1)


# -- functions and expressions --------------------------------------------------------------


def test_a_function_gets_the_configuration_if_it_has_room_for_it() -> None:
    assert Function(lambda: 1).sample({"x": 5}) == 1
    assert Function(lambda config: config["x"]).sample({"x": 5}) == 5
    assert Function(lambda config, i=2: config["x"] * i).sample({"x": 5}) == 10
    assert Function(lambda *args: args[0]["x"]).sample({"x": 5}) == 5
    assert Function(lambda *, i=2: i).sample({"x": 5}) == 2


def test_a_function_without_a_readable_signature_is_refused() -> None:
    with pytest.raises(SearchSpaceError, match="Wrap it in a lambda"):
        sample_from(range)


def test_an_expression_sees_the_configuration_and_seeded_random_numbers() -> None:
    domain = Expression(" spec['x'] + random.uniform(0, 1)")

    assert 5 <= domain.sample({"x": 5}) < 6
    assert domain.sample({"x": 5}, random_state=1) == domain.sample({"x": 5}, random_state=1)
    assert Expression("[x * spec for x in (1, 2)]").sample(2) == [2, 4]


def test_an_expression_may_use_numpy() -> None:
    assert Expression("float(np.sqrt(spec))").sample(4) == 2.0


def test_an_expression_that_uses_numpy_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)

    assert Expression("input_np_size if 0 else 1").sample() == 1
    with pytest.raises(SearchSpaceError, match="NumPy is not installed"):
        Expression("np.sqrt(4)")


def test_a_grid_is_a_plain_dict() -> None:
    assert grid_search([1, 2]) == {"grid_search": [1, 2]}
    assert grid_search(iter("ab")) == {"grid_search": ["a", "b"]}


def test_a_space_without_grids_stays_as_it_is() -> None:
    assert without_grids({"a": 1, "b": {"c": [1]}}) == {"a": 1, "b": {"c": [1]}}
