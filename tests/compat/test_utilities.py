"""Tests of localtune.compat.utilities: what scripts touch of ray.util and its neighbours."""

from __future__ import annotations

import threading
from typing import Any

from localtune.compat import utilities


def test_what_scripts_touch(ray: Any) -> None:
    assert utilities.get_node_ip_address("8.8.8.8:53") == "127.0.0.1"
    assert [utilities.log_once("once") for _ in range(2)] == [True, False]
    assert utilities.list_named_actors() == []
    assert utilities.RuntimeEnv(env_vars={"A": "1"}) == {"env_vars": {"A": "1"}}
    assert not ray.worker.global_worker.connected
    ray.init(num_cpus=1)
    assert ray.worker.global_worker.connected


def test_what_cannot_be_sent_is_named() -> None:
    lock = threading.Lock()
    assert utilities.inspect_serializability(lambda: 1) == (True, set())
    assert utilities.inspect_serializability(lambda: lock) == (False, {"lock"})
