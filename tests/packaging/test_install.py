"""``scripts/_install.py``: uv installs from where the configuration of pip says."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_install", ROOT / "scripts/_install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listing_of_pip(tmp_path: Path, **variables: str) -> str:
    """Output of ``pip config list`` for a file of configuration, and variables."""
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\n"
        "index-url = https://example.com/simple\n"
        "extra-index-url =\n    https://a.example.com\n    https://b.example.com\n"
        "timeout = 5\n"
        "[install]\n"
        "constraint = /etc/constraints.txt\n"
    )
    environment = {name: value for name, value in os.environ.items() if name[:4] != "PIP_"}
    # Of all files, only this one counts.
    environment |= {"PIP_CONFIG_FILE": str(file), "HOME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_options_of_pip_become_options_of_uv(tmp_path: Path, install: ModuleType) -> None:
    listing = listing_of_pip(tmp_path, PIP_CERT="/etc/ca.crt", PIP_FIND_LINKS="/wheels /more")
    command, environment = install.command_of_uv(install.configuration_of_pip(listing))
    pairs = list(itertools.pairwise(command))
    assert ("--index-url", "https://example.com/simple") in pairs
    assert [value for name, value in pairs if name == "--extra-index-url"] == [
        "https://a.example.com",
        "https://b.example.com",
    ]
    assert [value for name, value in pairs if name == "--find-links"] == ["/wheels", "/more"]
    assert ("--constraint", "/etc/constraints.txt") in pairs
    assert environment["SSL_CERT_FILE"] == "/etc/ca.crt"
    assert "--timeout" not in command


def test_a_variable_counts_more_than_a_file(tmp_path: Path, install: ModuleType) -> None:
    listing = listing_of_pip(tmp_path, PIP_INDEX_URL="https://mirror.example.com")
    assert install.configuration_of_pip(listing)["index-url"] == ["https://mirror.example.com"]
