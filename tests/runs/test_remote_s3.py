"""Runs whose storage is a server that speaks S3, from two machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.heavy import long_but

_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
_MACHINE = str(Path(__file__).parents[1] / "s3_machine.py")
_BUCKET = "sweeps"


@pytest.fixture
def server() -> Iterator[str]:
    """URL of a server with one bucket; it ends when its input does."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        _request(url, "PUT", f"/{_BUCKET}")
        yield url


def _request(url: str, method: str, path: str) -> str:
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request"}
    request = urllib.request.Request(url + path, method=method, headers=headers)
    with urllib.request.urlopen(request) as response:
        content: bytes = response.read()
    return content.decode()


def _machine(url: str, home: Path, *arguments: str, check: bool = True) -> Any:
    """Runs ``s3_machine.py`` with a home of its own; returns what it printed."""
    home.mkdir(exist_ok=True)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, _MACHINE, *arguments],
        env={
            **os.environ,
            "PYTHONPATH": root,
            "HOME": str(home),
            "TMPDIR": str(home),
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if not check:
        return done
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("workers", long_but(["cluster"], ["start", "cluster"]))
def test_a_run_in_s3_goes_on_on_another_machine(server: str, tmp_path: Path, workers: str) -> None:
    uri, once = f"s3://{_BUCKET}/deep/run", str(tmp_path / "once")
    assert _machine(server, tmp_path / "machine_1", workers, uri, once) == {"errors": 1}
    listing = _request(server, "GET", f"/{_BUCKET}?list-type=2")
    assert "deep/run/experiment.db<" in listing
    assert "checkpoint_000002/.localtune_complete<" in listing
    assert "checkpoint_000000/" not in listing  # Retention keeps two.
    assert _machine(server, tmp_path / "machine_2", "resume", uri, once) == {
        "steps": [1, 2, 3, 4, 5],
        "names": ["step", "weights"],
        "same": True,
        "repr": "Checkpoint(filesystem=s3",
    }
    listing = _request(server, "GET", f"/{_BUCKET}?list-type=2")
    assert "checkpoint_000004/.localtune_complete<" in listing
    assert "checkpoint_000002/" not in listing


def test_a_bucket_that_does_not_exist_is_told_at_the_start(server: str, tmp_path: Path) -> None:
    uri = "s3://no-such-bucket/run"
    done = _machine(server, tmp_path / "machine", "start", uri, "none", check=False)
    assert done.returncode != 0
    assert "The remote storage 's3://no-such-bucket/run' cannot be used" in done.stderr
