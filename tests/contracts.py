"""Finds each scheduler, searcher, stopper and logger; the suite of its kind must run on it.

Where a module's own test file holds a class that derives from the suite, that class is the cover.
Every other class that the package offers is made with default arguments.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from localtune.logger import LoggerCallback
from localtune.schedulers.create import SCHEDULERS as SCHEDULERS
from localtune.search.create import SEARCHERS as SEARCHERS
from localtune.stopper import Stopper
from localtune.utils.found_classes import FoundClasses

TESTS = Path(__file__).parent
STOPPERS = FoundClasses("localtune.stopper", Stopper)
LOGGERS = FoundClasses("localtune.logger", LoggerCallback)


def default_suites(
    found: FoundClasses[Any], folder: Path, suite: type, maker: str
) -> dict[str, type]:
    """The test classes for all that has no suite in a test file of its own.

    Args:
        found: What the package offers.
        folder: Where the test files of the package are.
        suite: Suite that the test classes derive from.
        maker: Name of the suite's method that makes the object.

    Returns:
        {name of the test class: the class}, for the globals of a test module.
    """
    classes = {}
    for cls in dict.fromkeys(found.values()):
        path = folder / f"test_{home_of(cls, found)}.py"
        if not has_suite(path, suite):
            name = f"Test{cls.__name__}"
            classes[name] = type(name, (suite,), {maker: _maker(cls, suite, path)})
    return classes


def modules_to_import_from(found: FoundClasses[Any]) -> list[str]:
    """The modules of the classes that their package does not export itself."""
    exported = import_module(found.package).__all__
    return sorted(
        {
            f"{found.package}.{home_of(cls, found)}"
            for cls in found.values()
            if cls.__name__ not in exported
        }
    )


def home_of(cls: type, found: FoundClasses[Any]) -> str:
    """The name of the module, or of the package, that offers a class."""
    return cls.__module__.removeprefix(f"{found.package}.").partition(".")[0]


def has_suite(path: Path, suite: type) -> bool:
    """Whether a test file holds a class that derives from a suite; the file is not imported."""
    if not path.exists():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bases = [
        ast.unparse(base)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]
    return suite.__name__ in bases


def undeclared(package: str, base: type) -> set[str]:
    """The concrete classes of a package that derive from a base and that no ``__all__`` lists.

    A class that another class of the package derives from counts as a base.

    Args:
        package: Dotted name of the package.
        base: Class that the classes derive from.
    """
    classes: set[type] = set()
    declared: set[type] = set()
    for each in walk_packages(import_module(package).__path__, f"{package}."):
        module = import_module(each.name)
        values = [value for value in vars(module).values() if inspect.isclass(value)]
        classes |= {value for value in values if value.__module__ == module.__name__}
        declared |= {
            value
            for name in getattr(module, "__all__", ())
            if inspect.isclass(value := getattr(module, name))
        }
    bases = {parent for cls in classes for parent in cls.__mro__[1:]}
    return {
        cls.__name__
        for cls in classes - declared - bases
        if issubclass(cls, base) and not cls.__name__.startswith("_")
    }


def _maker(cls: type, suite: type, path: Path) -> Callable[..., Any]:
    def make(self: Any, **arguments: Any) -> Any:
        try:
            return cls(**arguments)
        except TypeError as error:
            raise AssertionError(
                f"{cls.__name__} cannot be made without arguments ({error}): add a class that "
                f"derives from {suite.__name__} to {path.relative_to(TESTS.parent)}."
            ) from error

    return make
