"""Placement: slots of this machine, and an executor that places workers on two nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import localtune as tune
from localtune.error import ResourceRequestError
from localtune.execution.in_process import InProcessExecutor
from localtune.execution.local_slots import LocalSlots
from localtune.execution.slots import Slot
from localtune.resources import PlacementGroupFactory
from localtune.worker import messages

ONE_CPU = PlacementGroupFactory([{"CPU": 1}])
TWO_CPUS = PlacementGroupFactory([{"CPU": 2}])
TWICE_ONE_CPU = PlacementGroupFactory([{"CPU": 1}, {"CPU": 1}], "SPREAD")


def test_bundles_are_summed_up_on_one_machine() -> None:
    slots = LocalSlots(2, 0)
    slot = slots.reserve(TWICE_ONE_CPU)
    assert slot is not None
    assert (slot.cpus, slot.node, slot.request) == (2.0, "", TWICE_ONE_CPU)
    assert slots.reserve(ONE_CPU) is None
    slots.release(slot)
    assert slots.reserve(TWO_CPUS) is not None


def test_slots_with_gpus_tell_the_trial_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    slots = LocalSlots(4)
    both = slots.reserve(PlacementGroupFactory([{"CPU": 1, "GPU": 2}]))
    none = slots.reserve(ONE_CPU)
    assert both is not None and none is not None
    assert both.environment == {"CUDA_VISIBLE_DEVICES": "4,7"}
    assert none.environment == {"CUDA_VISIBLE_DEVICES": ""}, "GPUs of others are hidden"


def test_a_limit_on_slots_is_explained_only_where_it_is_the_cause() -> None:
    slots = LocalSlots(2, 0)
    slots.limit(1, "a test says so")
    slot = slots.reserve(ONE_CPU)
    assert slot is not None
    assert slots.reserve(ONE_CPU) is None
    assert slots.why_no_more(ONE_CPU) == "No more than 1 trial runs at once: a test says so."
    assert slots.why_no_more(TWO_CPUS) == "", "the CPUs are not free"
    assert not slots.why_never(TWO_CPUS)
    slots.release(slot)
    assert slots.why_no_more(ONE_CPU) == ""


def test_a_request_that_was_refused_is_met_when_a_slot_is_released() -> None:
    slots = LocalSlots(1, 0)
    slot = slots.reserve(ONE_CPU)
    assert slot is not None
    assert slots.reserve(ONE_CPU) is None
    assert slots.reserve(ONE_CPU) is None
    slots.release(slot)
    assert slots.reserve(ONE_CPU) is not None


class TwoNodes(InProcessExecutor):
    """Places each bundle on one of two nodes with one CPU each; all workers run in this process.

    Attributes:
        nodes: The nodes of each worker that was started.
    """

    def __init__(self) -> None:
        super().__init__(num_cpus=2, num_gpus=0)
        self.nodes: list[str] = []
        self._free = {"left": 1.0, "right": 1.0}
        self._held: dict[int, list[str]] = {}
        self._count = 0

    def resources(self) -> Mapping[str, float]:
        return {"CPU": 2.0}

    def reserve(self, request: PlacementGroupFactory) -> Slot | None:
        free = dict(self._free)
        nodes = []
        for bundle in request.bundles:
            fitting = [node for node, cpus in free.items() if cpus >= bundle["CPU"]]
            if not fitting:
                return None
            free[fitting[0]] -= bundle["CPU"]
            nodes.append(fitting[0])
        self._free = free
        self._count += 1
        self._held[self._count] = nodes
        return Slot(self._count, request, request.head_cpus, node="+".join(nodes))

    def release(self, slot: Slot) -> None:
        for node in self._held.pop(slot.number):
            self._free[node] = 1.0

    def why_never(self, request: PlacementGroupFactory) -> str:
        most = max(bundle["CPU"] for bundle in request.bundles)
        if most > 1:
            return f"It asks for {most:g} CPUs in one bundle, and no node has more than one."
        return "" if len(request.bundles) <= 2 else "There are two nodes."

    def start_worker(self, worker_id: int, command: messages.Construct, slot: Slot) -> None:
        self.nodes.append(slot.node)
        super().start_worker(worker_id, command, slot)


def run(executor: TwoNodes, request: PlacementGroupFactory, tmp_path: Path) -> tune.ResultGrid:
    tuner = tune.Tuner(
        tune.with_resources(reports_twice, request),
        tune_config=tune.TuneConfig(num_samples=3),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        executor=executor,
    )
    return tuner.fit()


def reports_twice(config: dict[str, object]) -> None:
    for step in range(2):
        tune.report({"step": step})


def test_trials_of_one_cpu_share_two_nodes(tmp_path: Path) -> None:
    executor = TwoNodes()
    grid = run(executor, ONE_CPU, tmp_path)
    assert [result.error for result in grid] == [None] * 3
    assert set(executor.nodes) == {"left", "right"}


def test_a_trial_spreads_its_bundles_over_both_nodes(tmp_path: Path) -> None:
    executor = TwoNodes()
    grid = run(executor, TWICE_ONE_CPU, tmp_path)
    assert [result.error for result in grid] == [None] * 3
    assert executor.nodes == ["left+right"] * 3


def test_two_cpus_in_one_bundle_fit_no_node_although_their_sum_is_there(tmp_path: Path) -> None:
    with pytest.raises(ResourceRequestError, match="no node has more than one"):
        run(TwoNodes(), TWO_CPUS, tmp_path)
    assert list(tmp_path.iterdir()) == []
