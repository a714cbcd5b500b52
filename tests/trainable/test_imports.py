"""What the code of a trainable imports, found without running it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.trainable.function_trainable import wrap_function
from localtune.trainable.imports import find_imports
from localtune.trainable.util import with_parameters, with_resources


def found(trainable: Any) -> list[str]:
    """The names of the modules, in order."""
    return [module for module, _ in find_imports(trainable)]


def train(config: dict[str, Any]) -> None:
    import sklearn.svm  # noqa: F401
    from sklearn import svm, tree  # noqa: F401


@functools.cache
def load_data() -> Any:
    import pandas

    return pandas


def calls_another(config: dict[str, Any]) -> Any:
    import csv  # noqa: F401

    load_data()

    def inner() -> None:
        import wave  # noqa: F401

    inner()
    return (lambda: __import__("never"))()


def given(config: dict[str, Any], load: Any = None) -> None:
    import csv  # noqa: F401

    load()


class Given(tune.Trainable):
    """Gets a function."""

    def setup(self, config: dict[str, Any], load: Any = None) -> None:
        import csv  # noqa: F401

        load()


@pytest.mark.parametrize(
    "bound",
    [
        with_parameters(given, load=load_data),
        with_resources(with_parameters(given, load=load_data), {"cpu": 1}),
        with_parameters(Given, load=load_data),
        functools.partial(given, load=load_data),
    ],
)
def test_imports_of_bound_functions_are_found(bound: Any) -> None:
    assert found(bound) == ["pandas", "csv"]


class Model:
    """A class of the user's."""

    def __init__(self) -> None:
        import colorsys  # noqa: F401

    def fit(self) -> None:
        from xml.etree import ElementTree  # noqa: F401


class Trains(tune.Trainable):
    """Imports in its methods, the first of which is the last one here."""

    def step(self) -> dict[str, Any]:
        import csv  # noqa: F401

        return {}

    def setup(self, config: dict[str, Any]) -> None:
        import wave  # noqa: F401

        Model().fit()


def test_imports_are_found_with_the_names_that_are_imported() -> None:
    assert find_imports(train) == [("sklearn.svm", ()), ("sklearn", ("svm", "tree"))]


@pytest.mark.parametrize(
    "wrap",
    [
        wrap_function,
        lambda each: with_resources(each, {"cpu": 1}),
        lambda each: with_parameters(each),
        lambda each: wrap_function(with_resources(with_parameters(each), {"cpu": 1})),
        lambda each: wrap_function(each)._for_metric("loss"),
        functools.partial,
    ],
)
def test_imports_are_found_in_wrapped_functions(wrap: Callable[[Any], Any]) -> None:
    assert found(wrap(train)) == ["sklearn.svm", "sklearn"]


def test_imports_of_functions_are_found_where_they_are_used() -> None:
    assert found(calls_another) == ["csv", "pandas", "wave"]


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: with_parameters(each)])
def test_imports_of_methods_are_found_in_the_order_of_their_calls(wrap: Any) -> None:
    assert found(wrap(Trains)) == ["wave", "colorsys", "xml.etree", "csv"]


def chosen(config: dict[str, Any]) -> None:
    if config["wave"]:
        import wave  # noqa: F401
    elif config["torch"]:
        import torch  # noqa: F401
    else:
        import csv  # noqa: F401
    import no_such_module  # type: ignore[import-not-found] # noqa: F401


def test_branches_count_without_large_libraries_and_missing_modules_do_not() -> None:
    assert found(chosen) == ["wave", "csv"]


def sets_variable(config: dict[str, Any]) -> None:
    import wave  # noqa: F401

    os.environ["A"] = "1"
    import csv  # noqa: F401


def sets_default(config: dict[str, Any]) -> None:
    import wave  # noqa: F401

    os.environ.setdefault("A", "1")
    import csv  # noqa: F401


def sets_imported(config: dict[str, Any]) -> None:
    import wave  # noqa: F401
    from os import environ

    environ["A"] = "1"
    import csv  # noqa: F401


def changes_directory(config: dict[str, Any]) -> None:
    import wave  # noqa: F401

    os.chdir("/")
    import csv  # noqa: F401


def changes_path(config: dict[str, Any]) -> None:
    import wave  # noqa: F401

    sys.path.insert(0, "/")
    import csv  # noqa: F401


def prepare() -> None:
    os.environ.update({"A": "1"})


def calls_one_that_changes(config: dict[str, Any]) -> None:
    import wave  # noqa: F401

    prepare()
    import csv  # noqa: F401


class ChangesInSetup(tune.Trainable):
    """Imports behind a change that another method makes."""

    def step(self) -> dict[str, Any]:
        import csv  # noqa: F401

        return {}

    def setup(self, config: dict[str, Any]) -> None:
        import wave  # noqa: F401

        prepare()


@pytest.mark.parametrize(
    "trainable",
    [
        sets_variable,
        sets_default,
        sets_imported,
        changes_directory,
        changes_path,
        calls_one_that_changes,
        ChangesInSetup,
    ],
)
def test_an_import_behind_a_change_is_not_found(trainable: Any) -> None:
    assert found(trainable) in (["wave"], ["wave", "os"])


def reads(config: dict[str, Any]) -> None:
    if "A" in os.environ and os.environ.get("B"):
        print(os.environ["A"], "torch" in sys.modules, os.environ[config["a"]])
    import csv  # noqa: F401


def test_an_import_behind_a_look_at_the_environment_is_found() -> None:
    assert found(reads) == ["csv"]


@pytest.fixture
def write_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> None:
        package = tmp_path / "of_the_user"
        package.mkdir()
        for name, source in modules.items():
            (package / f"{name}.py").write_text(source)

    return write


OF_THE_USER = {
    "__init__": "import wave\n",
    "models": """
from typing import TYPE_CHECKING
from . import losses
from .losses import loss
if TYPE_CHECKING:
    import pandas
open("never", "w")
def build():
    import csv
    loss()
def other():
    import numpy
""",
    "losses": "def loss():\n    from .. import of_the_user\n    import colorsys\n",
}


def uses_own_package(config: dict[str, Any]) -> None:
    from of_the_user import models  # type: ignore[import-not-found]

    models.build()


def test_modules_of_the_user_are_read_and_not_imported(
    write_package: Callable[..., None], tmp_path: Path
) -> None:
    write_package(**OF_THE_USER)
    assert found(uses_own_package) == ["wave", "typing", "colorsys", "csv"]
    assert "of_the_user" not in sys.modules
    assert not (tmp_path / "never").exists()


def changes_in_own_package(config: dict[str, Any]) -> None:
    from of_the_user import first

    first.use()
    import csv  # noqa: F401


def test_a_module_of_the_user_may_change_what_comes_behind_it(
    write_package: Callable[..., None],
) -> None:
    first = "import wave, os\nos.environ['A'] = '1'\nimport numpy\n"
    write_package(__init__="", first=first)
    assert found(changes_in_own_package) == ["wave", "os"]


def without_imports(config: dict[str, Any]) -> Any:
    return (prepare, Model, Path, pytest)


def test_objects_of_an_odd_kind_give_nothing() -> None:
    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert found(Odd()) == []
    assert found(without_imports) == []
    assert found(len) == []
