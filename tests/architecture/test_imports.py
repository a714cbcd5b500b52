"""Data flows one way: who may import whom."""

from __future__ import annotations

import configparser
import graphlib
import re
from pathlib import Path

import pytest

from tests.architecture.imports import Import, When, circles, read_imports
from tests.architecture.layers import (
    IMPORTED_AT_TOP,
    LAYER_OF,
    MAY_IMPORT,
    ROOT,
    layer_of,
    package_modules,
)

MODULES = package_modules()
IMPORTS = read_imports(MODULES)

# Where the name of a distribution is not the name of what it installs.
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "ax": "ax-platform",
    "bayes_opt": "bayesian-optimization",
    "hydra": "hydra-core",
    # It comes with scikit-learn.
    "joblib": "scikit-learn",
    "mlflow": "mlflow-skinny",
    # It comes with Hydra, whose configurations are its objects.
    "omegaconf": "hydra-core",
    "pytorch_lightning": "lightning",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def lines(found: list[Import]) -> str:
    return "\n".join(str(each) for each in found)


def is_allowed(importer: str, target: str) -> bool:
    layer, target_layer = layer_of(importer), layer_of(target)
    assert layer is not None, importer
    return target_layer in MAY_IMPORT[layer] or target in MAY_IMPORT[layer]


def test_each_module_belongs_to_a_layer() -> None:
    assert [module for module in MODULES if layer_of(module) is None] == []


def test_each_module_named_by_the_tables_exists() -> None:
    named = {*LAYER_OF, *(name for allowed in MAY_IMPORT.values() for name in allowed)}

    assert sorted(name for name in named - MAY_IMPORT.keys() if name not in MODULES) == []


# Nobody imports a module of these who does not want its library.
_OF_LIBRARIES = ("localtune.integration.", "localtune.examples.", "localtune.compat.ray.train.")


def test_each_layer_imports_only_what_it_may() -> None:
    found = [each for each in IMPORTS if each.is_own and not is_allowed(each.importer, each.target)]

    assert not found, lines(found)


def test_each_import_of_the_package_finds_a_module() -> None:
    found = [each for each in IMPORTS if each.is_own and each.target not in MODULES]

    assert not found, lines(found)


def test_only_dependencies_are_imported_at_the_top_of_a_module() -> None:
    found = [
        each
        for each in IMPORTS
        if each.is_third_party
        and each.at_top
        and layer_of(each.importer) not in IMPORTED_AT_TOP.get(each.root, set())
        and not each.importer.startswith(_OF_LIBRARIES)
    ]

    assert not found, lines(found)


def test_only_integrations_and_examples_import_integrations_at_the_top() -> None:
    found = [
        each
        for each in IMPORTS
        if each.at_top
        and each.target.startswith("localtune.integration.")
        and not each.importer.startswith(_OF_LIBRARIES)
    ]

    assert not found, lines(found)


def test_each_imported_package_is_a_dependency_or_in_an_extra() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for_users = set(setup["options.extras_require"]) - {"test", "dev"}
    requirements = setup["options"]["install_requires"].split("\n")
    for extra in for_users:
        requirements += setup["options.extras_require"][extra].split("\n")
    declared = {re.match(r"[\w.-]*", line).group() for line in requirements}  # type: ignore[union-attr]

    found = [
        each
        for each in IMPORTS
        if each.is_third_party and DISTRIBUTION_OF.get(each.root, each.root) not in declared
    ]

    assert not found, lines(found)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in IMPORTS:
        if each.is_own and each.at_top:
            graph[each.importer] |= loaded_by(each)

    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("each imports the one before it: " + ", ".join(error.args[1]), pytrace=False)


def test_there_is_no_circle_of_imports_of_any_kind() -> None:
    """Counts imports while loading, in functions, and for type checkers."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in IMPORTS:
        if each.is_own and each.target != each.importer:
            graph[each.importer].add(each.target)
    found = circles(graph)

    assert not found, "\n".join(", ".join(each) for each in found)


def loaded_by(found: Import) -> set[str]:
    """The target and the packages around it, without those that the importer itself is in."""
    parts = found.target.split(".")
    loaded = {".".join(parts[:end]) for end in range(1, len(parts))}
    around_importer = {name for name in loaded if f"{found.importer}.".startswith(f"{name}.")}
    return (loaded - around_importer) | {found.target}


class TestReadImports:
    """The reader of imports itself."""

    SOURCE = """
import typing
from typing import TYPE_CHECKING
import json, os.path
from localtune import result
from localtune.result import DONE
from . import sibling
from .. import clock
from ..error import TuneError

try:
    import psutil
except ImportError:
    pass

class Body:
    import sqlite3

    def method(self) -> None:
        import numpy

if TYPE_CHECKING:
    import pandas
elif typing.TYPE_CHECKING:
    import rich
else:
    import filelock
"""

    @pytest.fixture
    def found(self, tmp_path: Path) -> dict[str, When]:
        path = tmp_path / "module.py"
        path.write_text(self.SOURCE)
        others = ["localtune.result", "localtune.clock", "localtune.trial.sibling"]
        modules = {"localtune.trial.module": path}
        for other in others:
            modules[other] = tmp_path / "empty.py"
        (tmp_path / "empty.py").touch()
        return {each.target: each.when for each in read_imports(modules)}

    def test_finds_each_import(self, found: dict[str, When]) -> None:
        assert sorted(found) == [
            "filelock",
            "json",
            "localtune.clock",
            "localtune.error",
            "localtune.result",
            "localtune.trial.sibling",
            "numpy",
            "os.path",
            "pandas",
            "psutil",
            "rich",
            "sqlite3",
            "typing",
        ]

    def test_tells_when_each_happens(self, found: dict[str, When]) -> None:
        assert [target for target, when in found.items() if when is When.LATER] == ["numpy"]
        assert [target for target, when in found.items() if when is When.NEVER] == [
            "pandas",
            "rich",
        ]


def test_circles_are_found_through_other_modules() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert circles(graph) == [["a", "b", "c"]]
    graph["e"] = {"d"}
    assert circles(graph) == [["d", "e"], ["a", "b", "c"]]
