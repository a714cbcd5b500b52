"""TOML with each Python."""

from __future__ import annotations

import sys

import pytest

from localtune.error import ExtraMissingError
from localtune.utils.toml import parse_toml


def test_it_is_read_or_refused() -> None:
    assert parse_toml("a = 1", "This") == {"a": 1}
    with pytest.raises(ValueError, match="line 1"):
        parse_toml("a = \nb = 1", "This")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10))
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(ExtraMissingError, match=r"This needs the package 'tomli'.*\[toml\]"):
        parse_toml("a = 1", "This")
