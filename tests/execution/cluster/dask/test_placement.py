"""Reservations are placed on Dask workers, held by tasks, and placed again if they wait in vain."""

from __future__ import annotations

from localtune.execution.cluster.dask.holds import NodeHolds
from localtune.execution.cluster.dask.placement import HeldPlacing, HoldChange
from localtune.execution.cluster.engine import Node

LATER_S = 1000.0


def placing_of(*threads: float) -> HeldPlacing:
    placing = HeldPlacing()
    for number, amount in enumerate(threads):
        add(placing, f"n{number}", amount)
    return placing


def add(placing: HeldPlacing, name: str, threads: float, *, usable: bool = True) -> None:
    node = Node(name, name, {"CPU": threads})
    placing.add_held(node, NodeHolds(node.resources, {}, usable=usable))


def started_by(placing: HeldPlacing) -> list[HoldChange]:
    return [change for change in placing.settle().holds if change.starts]


def run(placing: HeldPlacing, *changes: HoldChange) -> None:
    for change in changes:
        placing.runs(change.node_id, change.hold.number)


def test_a_reservation_is_granted_when_all_its_tasks_run() -> None:
    placing = placing_of(1, 1)
    placing.ask(1, [{"CPU": 1}] * 2, "SPREAD")
    first, second = started_by(placing)
    run(placing, first)
    assert not placing.settle().granted and placing.granted() == {}
    run(placing, second)
    assert placing.settle().granted
    assert [place.node_id for place in placing.granted()[1]] == ["n0", "n1"]


def test_a_task_goes_from_one_reservation_to_the_next() -> None:
    placing = placing_of(1)
    placing.ask(1, [{"CPU": 1}], "PACK")
    run(placing, *started_by(placing))
    placing.settle()
    placing.ask(2, [{"CPU": 1}], "PACK")
    assert placing.unplaced().keys() == {2}
    placing.release(1)
    changes = placing.settle()
    assert changes.holds == [] and changes.granted
    assert placing.granted().keys() == {2}


def test_what_was_granted_is_lost_with_its_node_and_what_waits_goes_elsewhere() -> None:
    placing = placing_of(2)
    placing.ask(1, [{"CPU": 1}], "PACK")
    run(placing, *started_by(placing))
    placing.settle()
    placing.ask(2, [{"CPU": 1}], "PACK")
    placing.settle()
    placing.remove("n0")
    add(placing, "n1", 2)
    run(placing, *started_by(placing))
    placing.settle()
    assert placing.granted().keys() == {2}
    placing.release(1)
    placing.release(2)
    assert [change.starts for change in placing.settle().holds] == [False]


def test_what_waits_for_another_job_goes_to_a_node_with_room() -> None:
    placing = placing_of(1, 1)
    placing.ask(1, [{"CPU": 1}], "PACK")
    (change,) = started_by(placing)
    placing.holds[change.node_id].others = 1
    placing.lose_patience(0)
    assert started_by(placing) == []
    placing.lose_patience(LATER_S)
    (moved,) = started_by(placing)
    assert moved.node_id != change.node_id


def test_what_waits_on_a_node_that_is_cut_off_goes_elsewhere_although_there_is_room() -> None:
    placing = placing_of(2)
    placing.ask(1, [{"CPU": 1}], "PACK")
    run(placing, *started_by(placing))
    add(placing, "n1", 2)
    placing.ask(2, [{"CPU": 1}], "PACK")
    (change,) = started_by(placing)
    assert change.node_id == "n0"
    placing.lose_patience(0)
    placing.lose_patience(LATER_S)
    (moved,) = started_by(placing)
    assert moved.node_id == "n1"
    # The next one does not try that node first, until a task has run there.
    for key, name in ((3, "n1"), (4, "n0")):
        placing.ask(key, [{"CPU": 1}], "PACK")
        (change,) = started_by(placing)
        assert change.node_id == name
        run(placing, change)
    placing.release(4)
    placing.settle()
    placing.ask(5, [{"CPU": 1}], "PACK")
    assert [change.node_id for change in started_by(placing)] == ["n0"]


def test_what_holds_one_node_and_waits_for_another_is_given_back_for_a_while() -> None:
    placing = placing_of(1, 1)
    placing.ask(1, [{"CPU": 1}] * 2, "STRICT_SPREAD")
    first, second = started_by(placing)
    run(placing, first)
    placing.holds[second.node_id].others = 1
    placing.lose_patience(0)
    placing.lose_patience(LATER_S)
    changes = placing.settle().holds
    assert {change.hold for change in changes} == {first.hold, second.hold}
    assert not any(change.starts for change in changes)
    placing.lose_patience(2 * LATER_S)
    assert len(started_by(placing)) == 2


def test_a_node_of_no_use_is_the_last_resort() -> None:
    placing = HeldPlacing()
    add(placing, "bad", 8, usable=False)
    placing.ask(1, [{"CPU": 1}], "PACK")
    assert placing.settle().granted
    placing.release(1)
    add(placing, "good", 1)
    placing.ask(2, [{"CPU": 1}], "PACK")
    placing.ask(3, [{"CPU": 1}], "PACK")
    assert [change.node_id for change in started_by(placing)] == ["good"]
    assert placing.unplaced().keys() == {3}
