"""Who takes what next on a shared machine: nothing twice, nobody for ever in vain."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.execution.shared.fair_share import (
    FORGOTTEN_S,
    awake,
    grant,
    held,
    share,
    total_of,
)
from localtune.execution.shared.leases import UNITS, Lease, Wish, to_units

CPUS = 8
GPUS = ("0", "1", "2")


def lease(
    name: str,
    holds: float = 0.0,
    wants: dict[str, float] | None = None,
    *,
    since: float = 0.0,
    gpus: dict[str, float] | None = None,
    gpu_ids: tuple[str, ...] = GPUS,
    cpus: float = CPUS,
) -> Lease:
    """A sweep that holds so many CPUs, and maybe GPUs."""
    on_gpus = to_units(gpus or {})
    return Lease(
        name,
        total=to_units({"CPU": cpus}),
        gpu_ids=gpu_ids,
        holds=to_units({"CPU": holds, "GPU": sum((gpus or {}).values())}),
        gpus=on_gpus,
        wish=None if wants is None else Wish(to_units(wants), since, 0.0),
    )


def test_a_sweep_alone_takes_all_that_it_asks_for() -> None:
    assert grant([lease("a", CPUS - 1, {"CPU": 1})], "a") == ()
    assert grant([lease("a", CPUS, {"CPU": 1})], "a") is None


def test_the_free_slot_is_for_the_sweep_with_the_smaller_share() -> None:
    many, few = lease("many", 6, {"CPU": 1}, since=0), lease("few", 1, {"CPU": 1}, since=9)
    assert grant([many, few], "few") == ()
    assert grant([many, few], "many") is None


def test_a_sweep_above_its_share_takes_what_nobody_waits_for() -> None:
    assert grant([lease("many", 7, {"CPU": 1}), lease("few", 0)], "many") == ()


def test_of_equal_shares_the_one_that_waits_longer_is_first() -> None:
    old, new = lease("old", 3, {"CPU": 2}, since=1), lease("new", 3, {"CPU": 2}, since=2)
    assert grant([new, old], "old") == ()
    assert grant([new, old], "new") is None


def test_what_falls_free_is_kept_for_a_large_request() -> None:
    large = lease("large", 0, {"CPU": CPUS})
    small = lease("small", 5, {"CPU": 1})
    assert grant([large, small], "large") is None, "not all of it is free yet"
    assert grant([large, small], "small") is None, "the rest is for the large one"


def test_a_request_takes_no_more_than_its_part_from_those_behind() -> None:
    large = lease("large", 0, {"CPU": 3, "GPU": 1}, gpus={})
    small = lease("small", 2, {"CPU": 1}, gpus={"0": 1, "1": 1, "2": 1})
    assert grant([large, small], "large") is None, "all GPUs are taken"
    assert grant([large, small], "small") == (), "three CPUs more are free than it needs"


def test_the_share_is_the_largest_part_of_any_resource() -> None:
    one = lease("a", 2, gpus={"0": 1, "1": 0.5})
    assert share(one, total_of([one])) == pytest.approx(0.5)


def test_the_machine_has_what_the_sweep_that_knows_most_of_it_says() -> None:
    leases = [lease("a", cpus=2, gpu_ids=("0",)), lease("b", cpus=8, gpu_ids=("1", "0"))]
    assert total_of(leases) == to_units({"CPU": 8, "GPU": 2})


def test_sweeps_with_gpus_of_their_own_do_not_wait_for_each_other() -> None:
    one = lease("one", 1, gpus={"0": 1}, gpu_ids=("0",))
    other = lease("other", 0, {"GPU": 1}, gpu_ids=("1",))
    assert grant([one, other], "other") == ("1",)


def test_fractions_share_the_fullest_gpu_with_room() -> None:
    one = lease("one", 0, gpus={"1": 0.5})
    assert grant([one, lease("other", 0, {"GPU": 0.5})], "other") == ("1",)
    assert grant([one, lease("other", 0, {"GPU": 0.75})], "other") == ("0",)
    assert grant([one, lease("other", 0, {"GPU": 2})], "other") == ("0", "2")
    assert grant([one, lease("other", 0, {"GPU": 3})], "other") is None


def test_a_sweep_that_asks_no_more_keeps_nobody_waiting() -> None:
    first, second = lease("first", 0, {"CPU": CPUS}), lease("second", 1, {"CPU": 1})
    assert grant(awake([first, second], FORGOTTEN_S), "second") is None
    leases = awake([first, second], FORGOTTEN_S + 0.1)
    assert leases[0] == replace(first, wish=None)
    assert grant([leases[0], second], "second") == ()
    assert awake([first], -FORGOTTEN_S - 0.1)[0].wish is None, "nor one whose clock is wrong"


# -- any course of events --------------------------------------------------------------------------


@dataclass
class Machine:
    """Sweeps that ask and trials that end, one after the other, by the rule."""

    leases: dict[str, Lease] = field(default_factory=dict)
    trials: list[tuple[str, dict[str, int], tuple[str, ...]]] = field(default_factory=list)
    time: float = 0.0

    def ask(self, name: str, needs: dict[str, int]) -> bool:
        self.time += 1.0
        mine = self.leases[name]
        since = self.time if mine.wish is None else mine.wish.since
        self.leases[name] = mine = replace(mine, wish=Wish(needs, since, 0.0))
        gpu_ids = grant(list(self.leases.values()), name)
        if gpu_ids is None:
            return False
        self.trials.append((name, needs, gpu_ids))
        self._count(name)
        self.leases[name] = replace(self.leases[name], wish=None)
        return True

    def end(self, index: int) -> None:
        self._count(self.trials.pop(index % len(self.trials))[0])

    def _count(self, name: str) -> None:
        holds: Counter[str] = Counter()
        gpus: Counter[str] = Counter()
        for owner, needs, gpu_ids in self.trials:
            if owner == name:
                holds.update(needs)
                gpus.update({each: min(needs["GPU"], UNITS) for each in gpu_ids})
        self.leases[name] = replace(self.leases[name], holds=holds, gpus=gpus)

    def check(self) -> None:
        total = total_of(self.leases.values())
        for name, amount in held(self.leases.values()).items():
            assert amount <= total[name], f"too much of {name}"
        on_gpus: Counter[str] = Counter()
        for _, needs, gpu_ids in self.trials:
            assert len(set(gpu_ids)) == len(gpu_ids) == -(-needs.get("GPU", 0) // UNITS)
            on_gpus.update({each: min(needs["GPU"], UNITS) for each in gpu_ids})
        assert all(amount <= UNITS for amount in on_gpus.values()), "a GPU was given twice"


NAMES = "abcd"
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "CPU": st.sampled_from([0.5, 1, 2, 3, CPUS]),
        "GPU": st.sampled_from([0.25, 0.5, 1, 2, 3]),
        "licence": st.sampled_from([1, 2]),
    },
).filter(bool)


def machine() -> Machine:
    total = to_units({"CPU": CPUS, "licence": 2})
    return Machine({name: Lease(name, total=total, gpu_ids=GPUS) for name in NAMES})


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "end"]), REQUESTS, st.integers(0, 99))))
def test_nothing_is_given_twice(steps: list[tuple[str, dict[str, float], int]]) -> None:
    shared = machine()
    for name, request, index in steps:
        if name != "end":
            shared.ask(name, to_units(request))
        elif shared.trials:
            shared.end(index)
        shared.check()


@given(st.lists(REQUESTS, min_size=len(NAMES), max_size=len(NAMES)), st.integers(0))
def test_each_sweep_is_served_while_all_others_always_want_more(
    requests: list[dict[str, float]], seed: int
) -> None:
    """All sweeps want trials without end, and one trial after the other ends, the oldest first."""
    shared, chance = machine(), random.Random(seed)
    wants = dict(zip(NAMES, map(to_units, requests), strict=True))
    served: Counter[str] = Counter()
    for _ in range(40):
        for name in chance.sample(NAMES, len(NAMES)):
            while shared.ask(name, wants[name]):
                served[name] += 1
        assert shared.trials, "a free machine serves somebody"
        shared.check()
        shared.end(0)
    assert min(served[name] for name in NAMES) >= 1


@given(st.integers(1, CPUS), st.integers(0))
def test_small_trials_do_not_keep_a_large_one_away(size: int, seed: int) -> None:
    shared, chance = machine(), random.Random(seed)
    one_cpu, large = to_units({"CPU": 1}), to_units({"CPU": size})
    while shared.ask("a", one_cpu) or shared.ask("b", one_cpu):
        pass
    # Each of the others has waited for longer, and may come first once.
    ends = len(shared.trials) + 2
    while not shared.ask("c", large):
        for name in chance.sample("ab", 2):
            shared.ask(name, one_cpu)
        shared.end(chance.randrange(99))
        ends -= 1
        assert ends >= 0
    assert shared.leases["c"].holds == large


@given(st.integers(2, 4))
def test_sweeps_with_equal_trials_come_to_equal_shares(count: int) -> None:
    shared = machine()
    names, one_cpu = NAMES[:count], to_units({"CPU": 1})
    while shared.ask(names[0], one_cpu):
        pass
    for _ in range(5 * CPUS):
        shared.end(0)
        for name in names:
            while shared.ask(name, one_cpu):
                pass
    holds = [shared.leases[name].holds["CPU"] / UNITS for name in names]
    assert sum(holds) == CPUS and max(holds) - min(holds) <= 1
