"""No process of a run opens a network socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from tests.runs.lifecycle.programs import START_METHODS


def network_sockets(process: psutil.Process) -> list[Any]:
    # Releases before 6.0 know it by the older name.
    ask: Any = getattr(process, "net_connections", None) or process.connections  # type: ignore[attr-defined,unused-ignore]
    return list(ask(kind="inet"))


class LooksAtProcesses(tune.Callback):
    """Notes the network sockets of the parent and of all its descendants at each result."""

    def __init__(self) -> None:
        self.looked_at: set[int] = set()
        self.found: list[Any] = []

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        parent = psutil.Process()
        for process in [parent, *parent.children(recursive=True)]:
            self.looked_at.add(process.pid)
            self.found += network_sockets(process)


def train(config: dict[str, Any]) -> None:
    tune.report({"value": 1})


@pytest.mark.parametrize("start_method", START_METHODS)
def test_no_process_of_a_run_has_a_network_socket(tmp_path: Path, start_method: str) -> None:
    look = LooksAtProcesses()
    others = {child.pid for child in psutil.Process().children(recursive=True)}
    tune.Tuner(
        train,
        tune_config=tune.TuneConfig(num_samples=2),
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0, callbacks=[look]),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    # The parent, what starts and guards workers, and the two workers.
    assert len(look.looked_at - others) == (4 if start_method == "portable" else 6)
    assert look.found == []


def test_the_look_itself_sees_a_socket_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert [each.status for each in network_sockets(psutil.Process())] == ["LISTEN"]
