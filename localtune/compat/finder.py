"""Finds the modules that stand for ``ray`` and what lies below."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

from localtune.compat.faces import names_of
from localtune.compat.places import own_name
from localtune.compat.refusals import NAMES, reason_at_import, reason_in_module
from localtune.compat.refused import refusal

_NOT_KNOWN = (
    "it stands in for ray.tune, and for what scripts that tune use of ray, ray.air and ray.train"
)
# The modules that stand for a module of Ray alone.
_FACES = "localtune.compat.ray."
# Modules that are there, with names that are old or that refuse.
_WITH_MORE_NAMES = {
    "ray.tune.analysis",
    "ray.tune.durable_trainable",
    *(name.rpartition(".")[0] for name in NAMES if name.startswith("ray.tune.")),
}


class ShimFinder:
    """Answers imports of ``ray`` and of the modules below it.

    It and its loaders derive from no class of ``importlib.abc``, which loads much.

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
        reason = reason_at_import(name)
        if reason is not None:
            raise ModuleNotFoundError(refusal(name, reason), name=name)
        known_as = own_name(name)
        if known_as is not None and name in _WITH_MORE_NAMES:
            loader: Any = _Extended(known_as)
        elif known_as is not None:
            loader = _Alias(known_as)
        elif reason_in_module(name) is not None:
            loader = _Refusals(name)
        else:
            raise ModuleNotFoundError(refusal(name, _NOT_KNOWN), name=name)
        return importlib.machinery.ModuleSpec(name, loader, is_package=True)

    def find_distributions(self, context: Any = None) -> list[Any]:
        """Returns the distribution ``ray``, whose version libraries ask for.

        Args:
            context: Has the name of the distribution that is looked for, and folders to look in.
        """
        name = None if context is None else context.name
        # A caller that names folders asks for the distributions in these folders.
        is_anywhere = context is None or context.path is sys.path
        if not is_anywhere or (name or "ray").lower() != "ray":
            return []
        from localtune.compat.distribution import RayDistribution

        return [RayDistribution()]


class LastFinder:
    """Answers imports of modules that no other finder has.

    ``from ray import serve`` asks for the module below the one that ``ray`` is:
    ``localtune.compat.ray.serve``. It gets the answer of ``import ray.serve``.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Returns the spec of a module whose names refuse; None for modules of other packages.

        Args:
            name: Dotted name of the module.
            path: Not used.
            target: Not used.

        Raises:
            ImportError: for a part of Ray that localtune does not have; it says what to do.
        """
        is_face = name.startswith(_FACES)
        if is_face:
            in_ray = f"ray.{name.removeprefix(_FACES)}"
        elif name.startswith("localtune."):
            in_ray = f"ray.tune.{name.removeprefix('localtune.')}"
        else:
            return None
        if reason_in_module(in_ray) is not None:
            loader: Any = _Refusals(in_ray)
            return importlib.machinery.ModuleSpec(name, loader, is_package=True)
        if is_face:
            reason = reason_at_import(in_ray)
            raise ModuleNotFoundError(refusal(in_ray, reason or _NOT_KNOWN), name=in_ray)
        return None


class _Alias:
    """Gives a module that has another name.

    Args:
        known_as: The module's own name.
    """

    # {name of a module: its own spec}, as it is before the first import under another name.
    _own_specs: ClassVar[dict[str, Any]] = {}

    def __init__(self, known_as: str) -> None:
        self._known_as = known_as

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns the module, to which the import system gives ``spec``.

        Args:
            spec: Spec under the name that is imported.
        """
        module = importlib.import_module(self._known_as)
        self._own_specs.setdefault(self._known_as, module.__spec__)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its own spec back: it has been executed under its own name.

        Args:
            module: The module.
        """
        module.__spec__ = self._own_specs[self._known_as]


class _Extended:
    """Makes a module that has the names of another one, and more.

    Args:
        known_as: The name of the other module, to which pickles refer.
    """

    def __init__(self, known_as: str) -> None:
        self._known_as = known_as

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns an empty module.

        Args:
            spec: Spec of the module of Ray.
        """
        return ModuleType(self._known_as, importlib.import_module(self._known_as).__doc__)

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its names.

        Args:
            module: The module.
        """
        assert module.__spec__ is not None
        look_up = names_of(module.__spec__.name, self._known_as)
        setattr(module, "__getattr__", look_up)  # noqa: B010


class _Refusals:
    """Makes a module whose names refuse when they are used.

    Args:
        in_ray: Name of the module of Ray.
    """

    def __init__(self, in_ray: str) -> None:
        self._in_ray = in_ray

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Returns a module that a pickle refers to as one that any process can import.

        Args:
            spec: Spec of the module of Ray.
        """
        return ModuleType("localtune.compat.refused")

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its names.

        Args:
            module: The module.
        """
        setattr(module, "__getattr__", names_of(self._in_ray))  # noqa: B010
