"""The engine for Ray: addresses, and in a process of their own, the tests in a real cluster."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from localtune.execution.cluster.engine import ClusterError, Engine
from localtune.execution.cluster.ray.engine import RayEngine
from localtune.testing.engine_contract import AddressContract
from tests.execution.cluster.ray import rules

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[4]
_RULES = [
    name for each in (rules, rules.TestRayEngine) for name in dir(each) if "test_" in name[:5]
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{name of a test in ``rules.py``: what went wrong, or ""}."""
    report = tmp_path_factory.mktemp("rules") / "report.xml"
    command = [
        *(sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(_ROOT)),
        *("--noconftest", "-p", "no:cacheprovider", "--import-mode=importlib", "-q"),
        *("--tb=short", f"--junitxml={report}", str(rules.__file__)),
    ]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    # All those tests take longer than one of them may.
    faulthandler.cancel_dump_traceback_later()
    # Ray lets nodes import modules from the directory where the script was started.
    run = subprocess.run(
        command, cwd=report.parent, env=environment, capture_output=True, text=True, check=False
    )
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        found[name] = found.get(name, "") + "".join(part.text or "" for part in case)
    assert found, run.stdout + run.stderr
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", _RULES)
def test_in_a_cluster(name: str, outcomes: dict[str, str]) -> None:
    assert outcomes[name] == ""


class TestAddresses(AddressContract):
    def engine_at(self, address: str) -> Engine:
        return RayEngine(address)


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "http://10.0.0.1:8265", "head"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ClusterError, match=address):
        RayEngine(address).connect()


def test_the_variable_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ClusterError, match="RAY_ADDRESS"):
        RayEngine().connect()


def test_the_file_of_a_cluster_that_is_gone_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    with pytest.raises(ClusterError, match="ray_current_cluster"):
        RayEngine().connect()


def test_a_timeout_is_above_zero() -> None:
    with pytest.raises(ValueError, match="head_timeout_s"):
        RayEngine(head_timeout_s=0)


_LOCAL = """
import sys
import ray
from localtune.execution.cluster.ray.engine import RayEngine

for address in (None, "local"):
    print("address", address, file=sys.stderr)
    engine = RayEngine(address)
    engine.connect()
    print(len(engine.nodes()))
    ray.shutdown()
"""


def test_a_cluster_that_ray_starts_for_the_script_is_told_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # Ray makes sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as home:
        monkeypatch.setenv("RAY_TMPDIR", home)
        run = subprocess.run(
            [sys.executable, "-c", _LOCAL], capture_output=True, text=True, cwd=home, check=False
        )
    assert run.stdout == "1\n1\n", run.stderr
    _, unasked, asked = run.stderr.split("address ")
    assert "So Ray starts one here, for this script alone." in unasked
    assert "localtune" not in asked and "Ray starts" not in asked
