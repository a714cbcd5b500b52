"""Finds the modules that stand for ``ray`` and what lies below."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from localtune.compat.places import OLD_PLACES, REFUSED

# The release of Ray whose names the shim has; libraries compare it.
RAY_VERSION = "2.45.0"
_OWN = "localtune.compat.ray"


class ShimFinder(importlib.abc.MetaPathFinder):
    """Answers imports of ``ray`` and of the modules below it.

    A module is known under two names: ``import ray.tune.schedulers`` gives the very module
    ``localtune.schedulers``. So a pickle that refers to it names localtune only.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module, None for modules of other packages.

        Args:
            name: Dotted name of the module.
            path: Not used.
            target: Not used.

        Raises:
            ImportError: for a part of Ray that localtune does not have; it says what to do.
        """
        if name != "ray" and not name.startswith("ray."):
            return None
        known_as = own_name(name)
        if known_as is None:
            raise ModuleNotFoundError(
                f"localtune has no {name}: it stands in for ray.tune, and for what scripts that "
                "tune use of ray, ray.air and ray.train.",
                name=name,
            )
        return importlib.machinery.ModuleSpec(name, _Alias(known_as), is_package=True)

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        """Yields the distribution ``ray``, whose version libraries ask for.

        Args:
            context: Has the name of the distribution that is looked for.
        """
        if context is None or context.name == "ray":
            yield _RayDistribution()


class _Alias(importlib.abc.Loader):
    """Gives a module that has another name.

    Args:
        known_as: The module's own name.
    """

    def __init__(self, known_as: str) -> None:
        self._known_as = known_as

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns the module; the import system gives it ``spec``.

        Args:
            spec: Spec under the name that is imported.
        """
        module = importlib.import_module(self._known_as)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its own spec back: it has been executed under its own name.

        Args:
            module: The module.
        """
        module.__spec__ = self._own_spec


class _RayDistribution(importlib.metadata.Distribution):
    """The distribution ``ray``, as far as libraries look at it."""

    def read_text(self, filename: str) -> str | None:
        """Returns the text of a file of metadata, None for one that does not exist.

        Args:
            filename: Name of the file.
        """
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: ray\nVersion: {RAY_VERSION}\n"

    def locate_file(self, path: Any) -> Any:
        """Refuses: the distribution has no files.

        Args:
            path: The file.
        """
        raise FileNotFoundError(f"localtune stands in for ray, which has no file {path}.")


def own_name(name: str) -> str | None:
    """Returns the name of the module that stands for a module of Ray.

    Args:
        name: ``ray``, or a dotted name below it.

    Returns:
        A name below ``localtune``; None if there is none.

    Raises:
        ImportError: for a part of Ray that localtune does not have.
    """
    advice = next((REFUSED[each] for each in _prefixes(name) if each in REFUSED), None)
    if advice is not None:
        raise ImportError(f"localtune has no {name}. {advice}", name=name)
    candidates = [_OWN + name.removeprefix("ray")]
    if name in OLD_PLACES:
        candidates.append(OLD_PLACES[name])
    if name.startswith("ray.tune."):
        candidates.append("localtune." + name.removeprefix("ray.tune."))
    return next((each for each in candidates if _exists(each)), None)


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _exists(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
