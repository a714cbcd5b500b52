"""Simulated trials on nodes that join and leave."""

from __future__ import annotations

from typing import Any

import pytest

import localtune as tune
from localtune.execution.simulated_cluster import SimulatedCluster, SimulatedNode
from localtune.resources import PlacementGroupFactory
from localtune.testing.simulation import simulate
from localtune.testing.simulation_result import SimulationResult

ONE_CPU = PlacementGroupFactory([{"CPU": 1}])


class Steady:
    """Takes ten seconds for a step."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"score": self.steps, "time_this_iter_s": 10.0, "done": self.steps == 4}

    def get_state(self) -> int:
        return self.steps

    def set_state(self, state: int) -> None:
        self.steps = state


def run(nodes: list[SimulatedNode], num_samples: int, **options: Any) -> SimulationResult:
    return simulate(
        Steady,
        metric="score",
        mode="max",
        nodes=nodes,
        num_samples=num_samples,
        validate=True,
        **options,
    )


def test_all_nodes_have_slots() -> None:
    cluster = SimulatedCluster(Steady, [SimulatedNode(2), SimulatedNode(1)])
    slots = [cluster.reserve(ONE_CPU) for _ in range(3)]
    assert [slot.node for slot in slots if slot is not None] == ["node-1", "node-1", "node-2"]
    assert len({slot.number for slot in slots if slot is not None}) == 3
    assert cluster.reserve(ONE_CPU) is None
    assert slots[1] is not None
    cluster.release(slots[1])
    again = cluster.reserve(ONE_CPU)
    assert again is not None and again.node == "node-1"
    assert cluster.resources()["CPU"] == 3


def test_a_request_that_fits_no_node_is_refused_unless_such_a_node_will_join() -> None:
    large = PlacementGroupFactory([{"CPU": 4}])
    assert "4 CPU" in SimulatedCluster(Steady, [SimulatedNode(2)]).why_never(large)
    nodes = [SimulatedNode(2), SimulatedNode(8, joins_s=60.0)]
    assert SimulatedCluster(Steady, nodes).why_never(large) == ""


def test_a_node_that_joins_gets_the_trials_that_wait() -> None:
    result = run([SimulatedNode(1), SimulatedNode(2, joins_s=15.0)], 3)
    starts = [event.time_s for event in result.events if event.what == "started"]
    assert starts == [0.0, 15.0, 15.0]
    assert result.elapsed_s == 55.0


def test_trials_of_a_lost_node_go_on_elsewhere_and_have_not_failed() -> None:
    result = run([SimulatedNode(1, leaves_s=25.0), SimulatedNode(1)], 2)
    assert [trial.status for trial in result.trials] == ["TERMINATED"] * 2
    assert not any(trial.error for trial in result.trials)
    # Without a checkpoint, two steps are done again, when the other trial has ended.
    assert result.iterations == 10
    assert result.elapsed_s == 80.0


def test_they_go_on_from_their_checkpoints() -> None:
    saves = tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=1)
    nodes = [SimulatedNode(1, leaves_s=25.0), SimulatedNode(1)]
    result = run(nodes, 2, checkpoint_config=saves)
    assert result.iterations == 8
    assert result.elapsed_s == 60.0


def test_a_loss_is_noticed_late() -> None:
    executor = SimulatedCluster(
        Steady,
        [SimulatedNode(1, leaves_s=5.0), SimulatedNode(1, joins_s=6.0)],
        notice_s=30.0,
        keep_in_memory=True,
    )
    results = tune.Tuner(
        tune.Trainable,
        tune_config=tune.TuneConfig(num_samples=1, metric="score", mode="max"),
        run_config=tune.RunConfig(verbose=0),
        executor=executor,
    ).fit()
    assert results.num_terminated == 1
    assert executor.clock.monotonic() == 5.0 + 30.0 + 40.0


def test_the_same_arguments_give_the_same_events() -> None:
    nodes = [SimulatedNode(2, 0, number * 7.0, 40.0 + number * 11.0) for number in range(5)]
    nodes.append(SimulatedNode(1))
    first, second = (run(nodes, 20) for _ in range(2))
    assert first.events == second.events
    assert all(trial.status == "TERMINATED" for trial in first.trials)


@pytest.mark.parametrize(
    "nodes",
    [[], [SimulatedNode(1, joins_s=1.0)], [SimulatedNode(1), SimulatedNode(1, 0, 5.0, 5.0)]],
)
def test_nodes_that_make_no_sense_are_refused(nodes: list[SimulatedNode]) -> None:
    with pytest.raises(ValueError, match="must"):
        SimulatedCluster(Steady, nodes)
