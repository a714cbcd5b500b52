"""Classes that are found by the file names of their modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localtune.schedulers import FIFOScheduler
from localtune.utils.found_classes import FoundClasses


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FoundClasses[FIFOScheduler]]:
    package = tmp_path / "some_schedulers"
    package.mkdir()
    (package / "__init__.py").touch()
    modules = {
        "late": "class Late(FIFOScheduler): ...\nOther = Late\ntext = 'no class'\n"
        "__all__ = ['Late', 'Other', 'text']\n",
        "base": "class Base(FIFOScheduler): ...",
        "two": "class A(FIFOScheduler): ...\nclass B(FIFOScheduler): ...\n__all__ = ['A', 'B']",
    }
    for name, code in modules.items():
        head = "from localtune.schedulers import FIFOScheduler\n"
        (package / f"{name}.py").write_text(head + code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield FoundClasses("some_schedulers", FIFOScheduler, {"further": "late"})
    for name in [each for each in sys.modules if each.partition(".")[0] == "some_schedulers"]:
        del sys.modules[name]


def test_a_name_is_the_name_of_a_module(found: FoundClasses[FIFOScheduler]) -> None:
    assert found["late"].__name__ == "Late"
    assert found["further"] is found["late"]


def test_looking_up_a_name_imports_its_module_alone(found: FoundClasses[FIFOScheduler]) -> None:
    assert "late" in found
    assert [each for each in sys.modules if each.startswith("some_schedulers.")] == [
        "some_schedulers.late"
    ]


@pytest.mark.parametrize("name", ["base", "missing", "late.Late", "__init__", ""])
def test_other_names_mean_nothing(found: FoundClasses[FIFOScheduler], name: str) -> None:
    assert name not in found


def test_a_module_lists_one_class(found: FoundClasses[FIFOScheduler], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must list one class for some_schedulers, but lists A, B"):
        found["two"]
    (tmp_path / "some_schedulers" / "two.py").unlink()
    assert list(found) == ["further", "late"]
    assert len(found) == 2
