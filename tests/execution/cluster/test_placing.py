"""Bundles go to nodes by the strategy of their reservation, and never to more than there is."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.execution.cluster.engine import Node
from localtune.execution.cluster.placing import Placing, fits_somewhere

STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


def placing_of(*cpus: float, gpus: int = 0) -> Placing:
    placing = Placing()
    for number, amount in enumerate(cpus):
        placing.add(Node(f"n{number}", f"n{number}", {"CPU": amount, "GPU": gpus}))
    return placing


def nodes_of(placing: Placing, key: int) -> list[str]:
    places = placing.places(key)
    assert places is not None
    return [place.node_id for place in places]


@pytest.mark.parametrize(
    ("strategy", "count"), [("PACK", 1), ("STRICT_PACK", 1), ("SPREAD", 3), ("STRICT_SPREAD", 3)]
)
def test_each_strategy_takes_as_many_nodes_as_it_says(strategy: str, count: int) -> None:
    placing = placing_of(4, 4, 4)
    assert placing.ask(1, [{"CPU": 1}] * 3, strategy)
    assert len(set(nodes_of(placing, 1))) == count


def test_what_must_be_on_one_node_waits_for_one_that_has_room() -> None:
    placing = placing_of(2, 2)
    placing.ask(1, [{"CPU": 1}], "PACK")
    placing.ask(2, [{"CPU": 2}], "PACK")
    assert not placing.ask(3, [{"CPU": 1}, {"CPU": 1}], "STRICT_PACK")
    assert placing.release(2) == [3]
    assert len(set(nodes_of(placing, 3))) == 1


def test_what_must_be_on_many_nodes_needs_them() -> None:
    assert not fits_somewhere(placing_of(8, 8).nodes.values(), [{"CPU": 1}] * 3, "STRICT_SPREAD")
    assert fits_somewhere(placing_of(8, 8).nodes.values(), [{"CPU": 1}] * 3, "SPREAD")


def test_a_large_bundle_is_not_kept_out_by_a_small_one_before_it() -> None:
    placing = placing_of(4, 1)
    assert placing.ask(1, [{"CPU": 1}, {"CPU": 4}], "STRICT_SPREAD")
    assert nodes_of(placing, 1) == ["n1", "n0"]


def test_a_node_for_each_bundle_is_found_if_there_is_a_way() -> None:
    placing = Placing()
    for name, resources in {"both": {"CPU": 8, "GPU": 1}, "cpu": {"CPU": 4}}.items():
        placing.add(Node(name, name, resources))
    assert placing.ask(1, [{"CPU": 1}, {"GPU": 1}], "STRICT_SPREAD")
    assert nodes_of(placing, 1) == ["cpu", "both"]


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD"])
def test_the_bundle_with_the_fewest_nodes_to_choose_from_comes_first(strategy: str) -> None:
    placing = Placing()
    for name, resources in {"both": {"CPU": 2, "GPU": 1}, "cpu": {"CPU": 2}}.items():
        placing.add(Node(name, name, resources))
    assert placing.ask(1, [{"CPU": 2}, {"CPU": 1, "GPU": 1}], strategy)
    assert nodes_of(placing, 1) == ["cpu", "both"]


def test_small_requests_fill_a_node_before_they_begin_another() -> None:
    placing = placing_of(4, 4)
    for key in range(4):
        placing.ask(key, [{"CPU": 1}], "PACK")
    assert len({nodes_of(placing, key)[0] for key in range(4)}) == 1


def test_a_reservation_whose_node_has_gone_has_no_places_and_gets_no_others() -> None:
    placing = placing_of(1, 1)
    placing.ask(1, [{"CPU": 1}], "PACK")
    (node_id,) = nodes_of(placing, 1)
    placing.remove(node_id)
    assert placing.places(1) is None and placing.place_waiting() == []
    placing.release(1)
    assert placing.ask(2, [{"CPU": 1}], "PACK")


_asks = st.tuples(
    st.lists(
        st.fixed_dictionaries(
            {"CPU": st.sampled_from([0.5, 1, 2, 3]), "GPU": st.sampled_from([0, 1])}
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(STRATEGIES),
)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), st.lists(_asks | st.none(), max_size=20)
)
def test_nothing_is_given_twice(
    cpus: list[int], asked: list[tuple[list[dict[str, float]], str] | None]
) -> None:
    placing = placing_of(*cpus, gpus=2)
    held: dict[int, list[dict[str, float]]] = {}
    for key, ask in enumerate(asked):
        if ask is None:
            if held:
                first = next(iter(held))
                del held[first]
                placing.release(first)
        else:
            held[key] = ask[0]
            placing.ask(key, *ask)
        taken: Counter[str] = Counter()
        gpus: Counter[tuple[str, str]] = Counter()
        for each, bundles in held.items():
            for bundle, place in zip(bundles, placing.places(each) or (), strict=False):
                taken[place.node_id] += int(bundle["CPU"] * 2)
                gpus.update((place.node_id, gpu) for gpu in place.gpu_ids)
        assert all(taken[f"n{number}"] <= 2 * amount for number, amount in enumerate(cpus))
        assert not gpus or max(gpus.values()) == 1


def test_what_did_not_fit_gets_its_place_when_a_node_joins_or_something_is_given_back() -> None:
    placing = placing_of(1)
    placing.ask(1, [{"CPU": 1}], "PACK")
    assert not any(placing.ask(key, [{"CPU": 1}], "PACK") for key in (2, 3, 4))
    placing.add(Node("new", "new", {"CPU": 1}))
    assert nodes_of(placing, 2) == ["new"]
    assert placing.release(1) == [3]
    assert placing.release(2) == [4]


def test_parts_of_a_cpu_fill_a_node_whole() -> None:
    placing = placing_of(0.3)
    assert placing.ask(1, [{"CPU": 0.1}] * 3, "STRICT_PACK")
