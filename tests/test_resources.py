from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.error import LocaltuneInternalError, ResourceRequestError
from localtune.resources import (
    PlacementGroupFactory,
    ResourcePool,
    request_of,
    resource_dict_to_pg_factory,
)

# PlacementGroupFactory


def test_zeros_are_dropped_and_values_become_floats() -> None:
    factory = PlacementGroupFactory([{"CPU": 1, "GPU": 0}, {"CPU": 2, "TPU": 1}])
    assert factory.bundles == [{"CPU": 1.0}, {"CPU": 2.0, "TPU": 1.0}]
    assert all(type(amount) is float for bundle in factory.bundles for amount in bundle.values())
    assert factory.required_resources == {"CPU": 3.0, "TPU": 1.0}
    assert factory.head_cpus == 1.0
    assert not factory.head_bundle_is_empty
    assert factory.strategy == "PACK"


def test_an_empty_first_bundle_needs_others() -> None:
    factory = PlacementGroupFactory([{}, {"CPU": 2}], strategy="SPREAD")
    assert factory.head_bundle_is_empty
    assert factory.bundles == [{"CPU": 2.0}]
    assert factory.head_cpus == 0.0
    assert factory.strategy == "SPREAD"


def test_a_first_bundle_without_cpus_has_none() -> None:
    assert PlacementGroupFactory([{"GPU": 1}]).head_cpus == 0.0


@pytest.mark.parametrize("bundles", [[], [{}], [{}, {}], [{"CPU": 0}], [{"CPU": 0}, {"GPU": 0.0}]])
def test_nothing_at_all_is_refused(bundles: Any) -> None:
    with pytest.raises(ValueError, match="at least one resource with an amount above 0"):
        PlacementGroupFactory(bundles)


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), "many", None])
def test_amounts_that_make_no_sense_are_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match=r"'CPU' must be a number of at least 0"):
        PlacementGroupFactory([{"CPU": amount}])


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy must be one of"):
        PlacementGroupFactory([{"CPU": 1}], strategy="PUCK")


def test_further_arguments_of_placement_groups_are_taken() -> None:
    factory = PlacementGroupFactory([{"CPU": 1}], "PACK", "name", lifetime="detached")
    assert factory == PlacementGroupFactory([{"CPU": 1}], name="name", lifetime="detached")
    assert factory != PlacementGroupFactory([{"CPU": 1}])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {"nodes": 1}), (("name",), {"name": "again"}), ((1, 2, 3, 4, 5), {})],
)
def test_other_further_arguments_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(RuntimeError, match="PlacementGroupFactory takes"):
        PlacementGroupFactory([{"CPU": 1}], "PACK", *args, **kwargs)


def test_bundles_are_a_copy() -> None:
    given: list[dict[str, float]] = [{"CPU": 1}]
    factory = PlacementGroupFactory(given)
    factory.bundles[0]["CPU"] = 5
    given[0]["CPU"] = 5
    assert factory.required_resources == {"CPU": 1.0}


def test_equality_hash_and_pickling() -> None:
    one = PlacementGroupFactory([{"CPU": 1, "GPU": 2}])
    same = PlacementGroupFactory([{"GPU": 2.0, "CPU": 1.0}])
    others: list[Any] = [
        PlacementGroupFactory([{"CPU": 1}, {"GPU": 2}]),
        PlacementGroupFactory([{}, {"CPU": 1, "GPU": 2}]),
        PlacementGroupFactory([{"CPU": 1, "GPU": 2}], strategy="SPREAD"),
        [{"CPU": 1, "GPU": 2}],
    ]
    assert one == same
    assert hash(one) == hash(same)
    assert all(one != other for other in others)
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("bundles", [[{"CPU": 1}], [{}, {"CPU": 1}]])
def test_repr_makes_an_equal_one(bundles: Any) -> None:
    factory = PlacementGroupFactory(bundles)
    assert eval(repr(factory)) == factory


# resource_dict_to_pg_factory


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, {"CPU": 1}),
        ({}, {"CPU": 1}),
        ({"cpu": 2}, {"CPU": 2}),
        ({"CPU": 2, "GPU": 1}, {"CPU": 2, "GPU": 1}),
        ({"cpu": 2, "CPU": 3, "gpu": 1, "GPU": 5}, {"CPU": 2, "GPU": 1}),
        ({"cpu": 0, "CPU": 3, "gpu": 1}, {"GPU": 1}),
        ({"gpu": 1}, {"GPU": 1}),
        ({"gpu": 0.5}, {"GPU": 0.5}),
        ({"cpu": 1, "memory": 1e9}, {"CPU": 1, "memory": 1e9}),
        ({"cpu": 1, "TPU": 2}, {"CPU": 1, "TPU": 2}),
        ({"cpu": 1, "TPU": 2, "custom_resources": {"NPU": 3}}, {"CPU": 1, "NPU": 3}),
        ({"custom_resources": {"NPU": 3}}, {"NPU": 3}),
    ],
)
def test_resource_dicts(spec: Any, expected: dict[str, float]) -> None:
    factory = resource_dict_to_pg_factory(spec)
    assert request_of(factory) == expected
    assert len(factory.bundles) == 1


def test_a_factory_stays_as_it_is() -> None:
    factory = PlacementGroupFactory([{"CPU": 1}, {"CPU": 2}])
    assert resource_dict_to_pg_factory(factory) is factory


def test_a_resource_dict_of_zeros_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        resource_dict_to_pg_factory({"cpu": 0})


def test_a_resource_dict_is_left_as_it_is() -> None:
    spec = {"cpu": 1, "gpu": 1, "custom_resources": {"TPU": 1}}
    resource_dict_to_pg_factory(spec)
    assert spec == {"cpu": 1, "gpu": 1, "custom_resources": {"TPU": 1}}


# ResourcePool


def test_what_is_acquired_is_taken_until_it_is_released() -> None:
    pool = ResourcePool({"CPU": 4, "memory": 8e9})
    allocation = pool.acquire("a", {"CPU": 3, "memory": 5e9})
    assert (allocation.owner, allocation.resources) == ("a", {"CPU": 3.0, "memory": 5e9})
    assert allocation.gpu_ids == ()
    assert pool.used == {"CPU": 3.0, "memory": 5e9}
    assert pool.total == {"CPU": 4.0, "memory": 8e9}
    assert pool.fits({"CPU": 1})
    assert not pool.fits({"CPU": 2})
    assert not pool.fits({"memory": 4e9})
    pool.release("a")
    assert pool.used == {"CPU": 0.0, "memory": 0.0}
    assert pool.fits({"CPU": 4})


def test_fractions_add_up_exactly() -> None:
    pool = ResourcePool({"CPU": 1, "GPU": 1})
    for index in range(10):
        assert pool.fits({"CPU": 0.1, "GPU": 0.1})
        pool.acquire(str(index), {"CPU": 0.1, "GPU": 0.1})
    assert not pool.fits({"CPU": 0.0001})
    for index in range(10):
        pool.release(str(index))
    assert pool.used == {"CPU": 0.0, "GPU": 0.0}


def test_whole_gpus_are_not_shared() -> None:
    pool = ResourcePool({"GPU": 3}, gpu_ids=("4", "5", "GPU-abc"))
    assert pool.acquire("a", {"GPU": 1}).gpu_ids == ("4",)
    assert pool.acquire("b", {"GPU": 2}).gpu_ids == ("5", "GPU-abc")
    pool.release("a")
    assert pool.acquire("c", {"GPU": 1}).gpu_ids == ("4",)


def test_fractions_go_to_the_fullest_gpu_with_room() -> None:
    pool = ResourcePool({"GPU": 3})
    ids = [
        pool.acquire(str(number), {"GPU": amount}).gpu_ids
        for number, amount in enumerate([0.5, 0.7, 0.2, 0.3, 0.3])
    ]
    assert ids == [("0",), ("1",), ("1",), ("0",), ("2",)]


def test_a_whole_gpu_needs_one_that_nobody_shares() -> None:
    pool = ResourcePool({"GPU": 2})
    pool.acquire("a", {"GPU": 0.5})
    pool.acquire("b", {"GPU": 1})
    pool.release("a")
    pool.acquire("c", {"GPU": 0.6})
    pool.release("b")
    pool.acquire("d", {"GPU": 0.6})
    assert pool.used["GPU"] == 1.2
    assert not pool.fits({"GPU": 0.5})
    assert pool.fits({"GPU": 0.4})
    assert not pool.fits({"GPU": 1})


def test_ids_default_to_numbers() -> None:
    assert ResourcePool({"GPU": 2}).acquire("a", {"GPU": 2}).gpu_ids == ("0", "1")


@pytest.mark.parametrize(("count", "ids"), [(2, ("0",)), (1.5, None), (0, ("0",))])
def test_as_many_ids_as_gpus(count: float, ids: Any) -> None:
    with pytest.raises(ValueError, match="must be the number of gpu_ids"):
        ResourcePool({"GPU": count}, gpu_ids=ids)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"GPU": 3}, "asks for 3 GPU, but this machine has 1"),
        ({"CPU": 9}, "asks for 9 CPU, but this machine has 4"),
        ({"memory": 64e9}, "asks for 64000000000 memory, but this machine has 8000000000"),
        ({"TPU": 1}, r"asks for 1 TPU, but this machine has 0 \(it has CPU: 4, GPU: 1"),
        ({"CPU": 9, "TPU": 1}, "asks for 9 CPU.*; it asks for 1 TPU"),
    ],
)
def test_what_can_never_fit_is_explained(request_: dict[str, float], text: str) -> None:
    pool = ResourcePool({"CPU": 4, "GPU": 1, "memory": 8e9})
    assert not pool.can_ever_fit(request_)
    assert not pool.fits(request_)
    with pytest.raises(ResourceRequestError, match=text):
        pool.acquire("a", request_)
    assert "with_resources" in pool.explain_misfit(request_)
    assert pool.used == {"CPU": 0.0, "GPU": 0.0, "memory": 0.0}


def test_more_than_one_gpu_must_be_a_whole_number() -> None:
    pool = ResourcePool({"GPU": 4})
    assert not pool.can_ever_fit({"GPU": 1.5})
    assert "must be a whole number" in pool.explain_misfit({"GPU": 1.5})
    assert pool.can_ever_fit({"GPU": 0.5})


def test_an_empty_machine_is_explained() -> None:
    assert "it has nothing" in ResourcePool({}).explain_misfit({"CPU": 1})


def test_what_can_fit_has_nothing_to_explain() -> None:
    pool = ResourcePool({"CPU": 1})
    pool.acquire("a", {"CPU": 1})
    assert pool.can_ever_fit({"CPU": 1})
    assert pool.explain_misfit({"CPU": 1}) == ""
    assert not pool.fits({"CPU": 1})


def test_amounts_of_zero_are_always_there() -> None:
    assert ResourcePool({}).fits({"GPU": 0, "TPU": 0.0})


def test_owners_are_kept_apart() -> None:
    pool = ResourcePool({"CPU": 2})
    pool.acquire("a", {"CPU": 1})
    with pytest.raises(LocaltuneInternalError, match="holds resources already"):
        pool.acquire("a", {"CPU": 1})
    with pytest.raises(LocaltuneInternalError, match="does not fit now"):
        pool.acquire("b", {"CPU": 2})
    with pytest.raises(LocaltuneInternalError, match="holds no resources"):
        pool.release("b")


requests = st.fixed_dictionaries(
    {},
    optional={
        "CPU": st.sampled_from([0.1, 0.25, 1 / 3, 1, 2.5, 4, 9]),
        "GPU": st.sampled_from([0.1, 1 / 3, 0.5, 0.9, 1, 2, 3, 4]),
        "TPU": st.integers(0, 2),
    },
)


@given(st.lists(st.one_of(requests, st.integers(0, 20)), max_size=40))
def test_no_order_of_events_gives_away_too_much(events: list[Any]) -> None:
    """A request acquires it where it fits; a number releases that owner where it holds any."""
    total = {"CPU": 4.0, "GPU": 3.0, "TPU": 1.0}
    pool = ResourcePool(total)
    held: dict[str, Any] = {}
    for number, event in enumerate(events):
        if isinstance(event, int):
            if held:
                owner = list(held)[event % len(held)]
                pool.release(owner)
                del held[owner]
        elif pool.fits(event):
            assert pool.can_ever_fit(event)
            held[str(number)] = pool.acquire(str(number), event)
        share_of_gpu = dict.fromkeys("012", 0.0)
        for allocation in held.values():
            gpus = allocation.resources.get("GPU", 0.0)
            assert len(allocation.gpu_ids) == (0 if gpus == 0 else max(1, int(gpus)))
            for gpu_id in allocation.gpu_ids:
                share_of_gpu[gpu_id] += min(gpus, 1.0)
        assert all(share <= 1 + 1e-9 for share in share_of_gpu.values())
        assert all(amount <= total[name] for name, amount in pool.used.items())
    for owner in held:
        pool.release(owner)
    assert pool.used == dict.fromkeys(total, 0.0)
    assert pool.fits(total)
