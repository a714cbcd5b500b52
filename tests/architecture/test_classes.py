"""The controller is made of small parts: each holds little, and none inherits from another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.layers import PACKAGE, ROOT

CONTROLLER = ROOT / PACKAGE / "controller"
MOST_ATTRIBUTES = 12
# {class: number of its attributes} of the classes that may have more.
LARGER = {
    "BackgroundSearch": 16,
}


def classes() -> list[tuple[Path, ast.ClassDef]]:
    return [
        (path, node)
        for path in sorted(CONTROLLER.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]


CLASSES = classes()
NAMES = {node.name for _, node in CLASSES}


def attributes(cls: ast.ClassDef) -> set[str]:
    """Names that methods of a class assign on ``self``."""
    targets: list[ast.expr] = []
    for node in ast.walk(cls):
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            targets.append(node.target)
    flat = [part for target in targets for part in getattr(target, "elts", [target])]
    return {
        target.attr
        for target in flat
        if isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }


@pytest.mark.parametrize(("path", "cls"), CLASSES, ids=[node.name for _, node in CLASSES])
def test_a_class_of_the_controller_has_few_attributes(path: Path, cls: ast.ClassDef) -> None:
    found = attributes(cls)
    most = LARGER.get(cls.name, MOST_ATTRIBUTES)
    assert len(found) <= most, f"{path.name}: {cls.name} has {len(found)}: {sorted(found)}"


def test_no_part_of_the_controller_inherits_from_another() -> None:
    values = {"Instruction", "TrialError"}  # plain dataclasses, and an error
    found = [
        f"{path.name}: {cls.name}({base.id})"
        for path, cls in CLASSES
        for base in cls.bases
        if isinstance(base, ast.Name) and base.id in NAMES - values
    ]
    assert found == []


def levels() -> dict[str, int]:
    """{part: its line in the page about the controller, counted from below}."""
    page = (ROOT / "docs" / "controller.md").read_text(encoding="utf-8")
    block = page.partition("```text\nController\n")[2].partition("```")[0]
    lines = ["Controller", *block.splitlines()]
    return {name: -number for number, line in enumerate(lines) for name in line.split()}


LEVELS = levels()


def test_the_page_names_classes_of_the_controller() -> None:
    assert len(LEVELS) > 15 and LEVELS.keys() <= NAMES


@pytest.mark.parametrize("part", LEVELS)
def test_a_part_knows_only_parts_on_lower_lines(part: str) -> None:
    (path,) = [path for path, node in CLASSES if node.name == part]
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    known = imported & LEVELS.keys()
    assert {name for name in known if LEVELS[name] >= LEVELS[part]} == set()


def test_only_the_loop_knows_the_controller_as_a_whole() -> None:
    users = [
        path.name
        for path in sorted(CONTROLLER.glob("*.py"))
        if "localtune.controller.controller" in path.read_text(encoding="utf-8")
    ]
    assert users == ["dispatcher.py", "loop.py", "preparation.py"]


def test_the_classes_that_may_be_larger_exist() -> None:
    assert LARGER.keys() <= NAMES
