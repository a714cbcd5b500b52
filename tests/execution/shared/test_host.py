"""The name of a machine in a ledger."""

from __future__ import annotations

import platform

import pytest

from localtune.execution.shared.host import host_key, host_name, is_of_earlier_boot


def test_it_is_a_plain_name_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "gpu box/7.example.org")
    assert host_name() == "gpu_box_7"
    assert host_key().startswith("gpu_box_7-")
    monkeypatch.setattr(platform, "node", lambda: "")
    assert host_name() == "localhost"


def test_files_of_an_earlier_boot_are_told_from_those_of_other_hosts() -> None:
    name = host_name()
    assert is_of_earlier_boot(f"{name}-01234567.lock")
    assert not is_of_earlier_boot(f"{host_key()}.lock")
    assert not is_of_earlier_boot(f"{name}x-01234567.lock")
    assert not is_of_earlier_boot("notes.txt")
