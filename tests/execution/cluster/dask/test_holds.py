"""The tasks on a Dask worker hold what reservations have there, and never more than there is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.execution.cluster.dask.holds import NodeHolds


def holds_of(threads: int, gpus: int = 0) -> NodeHolds:
    resources = {"CPU": float(threads), "GPU": float(gpus), "memory": 100.0}
    return NodeHolds(resources, {"GPU": float(gpus)}, [str(each) for each in range(gpus)])


def run_all(holds: NodeHolds) -> list[dict[str, float]]:
    """Lets the tasks that are lacking run; returns their resources."""
    started, _ = holds.settle()
    for hold in started:
        holds.runs(hold.number)
    return [hold.resources for hold in started]


def test_fractions_of_a_thread_share_a_task() -> None:
    holds = holds_of(2)
    for number, tasks in enumerate([1, 0, 1, 0]):
        holds.acquire(str(number), {"CPU": 0.5})
        assert len(run_all(holds)) == tasks
    assert not holds.fits({"CPU": 0.5})


def test_one_task_takes_the_declared_resources_of_a_share() -> None:
    holds = holds_of(4, gpus=2)
    holds.acquire("a", {"CPU": 2, "GPU": 2})
    assert run_all(holds) == [{"GPU": 2}, {}]


def test_a_gpu_without_a_thread_needs_one_to_hold_it() -> None:
    holds = holds_of(1, gpus=1)
    holds.acquire("a", {"CPU": 1})
    run_all(holds)
    assert not holds.fits({"GPU": 1})
    holds.release("a")
    holds.settle()
    assert holds.fits({"GPU": 1})


def test_what_nothing_counts_needs_no_task() -> None:
    holds = holds_of(1)
    holds.acquire("a", {"memory": 60})
    assert run_all(holds) == []
    assert holds.covered(set()) == {"a"}
    assert not holds.fits({"memory": 60})


def test_a_share_is_covered_when_its_tasks_run() -> None:
    holds = holds_of(2)
    holds.acquire("a", {"CPU": 1})
    holds.acquire("b", {"CPU": 1})
    first, second = holds.settle()[0]
    assert holds.covered(set()) == set()
    holds.runs(second.number)
    assert holds.covered(set()) == {"a"}
    # What was covered before stays so.
    assert holds.covered({"b"}) == {"b"}
    holds.runs(first.number)
    assert holds.covered({"b"}) == {"a", "b"}


def test_a_task_that_waits_ends_before_one_that_runs() -> None:
    holds = holds_of(2)
    holds.acquire("a", {"CPU": 1})
    run_all(holds)
    holds.acquire("b", {"CPU": 1})
    ((waits,), _) = holds.settle()
    holds.release("a")
    assert holds.settle() == ([], [waits])
    assert holds.covered(set()) == {"b"}


def test_nothing_is_held_where_no_trial_can_run() -> None:
    holds = NodeHolds({"CPU": 1.0}, {}, usable=False)
    holds.acquire("a", {"CPU": 1})
    assert holds.settle() == ([], [])
    assert holds.covered(set()) == {"a"}


def test_resources_that_were_declared_in_parts_are_held_whole() -> None:
    holds = NodeHolds({"CPU": 2.0, "license": 1.5}, {"license": 1.5})
    holds.acquire("a", {"license": 1.2})
    assert run_all(holds) == [{"license": 1.5}]


_shares = st.fixed_dictionaries(
    {"CPU": st.sampled_from([0, 0.1, 0.5, 1, 2]), "GPU": st.sampled_from([0, 0.5, 1, 2])}
).filter(lambda share: any(share.values()))
_steps = st.lists(st.one_of(_shares, st.integers(0, 5)), max_size=30)


@pytest.mark.parametrize("threads", [1, 4])
@given(steps=_steps)
def test_tasks_hold_all_shares_and_nothing_else(
    threads: int, steps: list[dict[str, float] | int]
) -> None:
    holds = holds_of(threads, gpus=2)
    shares: dict[str, dict[str, float]] = {}
    tasks: dict[int, dict[str, float]] = {}
    for count, step in enumerate(steps):
        if isinstance(step, dict):
            if holds.fits(step):
                holds.acquire(str(count), step)
                shares[str(count)] = step
        elif shares:
            owner = sorted(shares)[step % len(shares)]
            holds.release(owner)
            del shares[owner]
        started, ended = holds.settle()
        for hold in ended:
            del tasks[hold.number]
        for hold in started:
            tasks[hold.number] = hold.resources
            holds.runs(hold.number)
        cpus = sum(share["CPU"] for share in shares.values())
        gpus = sum(share["GPU"] for share in shares.values())
        assert max(math.ceil(cpus - 1e-6), bool(gpus)) <= len(tasks) <= threads
        assert gpus <= sum(task.get("GPU", 0) for task in tasks.values()) <= 2
        assert holds.covered(set()) == shares.keys()
        if not shares:
            assert not tasks
