"""Installs the shim in a process, and in the processes that load its trainables."""

from __future__ import annotations

import functools
import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from localtune.compat.children import prepare_children
from localtune.compat.finder import LastFinder, ShimFinder
from localtune.compat.notes import Notes, new_directory
from localtune.compat.translate import find_translation
from localtune.execution import default
from localtune.old_names import use as old
from localtune.trainable import preparation
from localtune.utils import serialization
from localtune.utils.messages import say

if TYPE_CHECKING:
    from localtune.execution.executor import Executor

_RAY = "localtune.compat.ray"


# Shows the notes of this process.
_notes = Notes()


def install() -> None:
    """Makes ``ray``, ``ray.tune``, ``ray.train`` and ``ray.air`` mean localtune.

    This process and its workers are affected, and nothing else. A second call has no effect. If
    the real Ray is installed, it is neither loaded nor changed.

    Raises:
        ImportError: if the real Ray has been imported already.

    Example:
        >>> import localtune.compat
        >>> localtune.compat.install()  # doctest: +SKIP
        >>> from ray import tune        # doctest: +SKIP
    """
    if _is_installed():
        return
    _refuse_real_ray()
    _install()
    _share_notes(new_directory())
    _mention_real_ray()


def install_in_loading_process(notes_directory: str | None) -> None:
    """Installs the shim in a process that loads a trainable of a process with the shim.

    Args:
        notes_directory: Where the processes of a run keep which notes they have shown.
    """
    if not _is_installed():
        _refuse_real_ray()
        _install()
    if _notes.directory is None:
        _share_notes(notes_directory)


def install_for_pickle() -> None:
    """Installs the shim in a process that loads an object of a module which imports ``ray``.

    A process that has imported the real Ray loads such an object, too.
    """
    if not _is_installed() and not _has_real_ray():
        _install()
        _share_notes(None)


def _name_types_of_values() -> None:
    """Makes the types of what domains accept readable: FLAML gives them to ``isinstance``."""
    from localtune.search.domains import Categorical, Float, Integer

    for domain, accepted in ((Float, float), (Integer, int), (Categorical, Any)):
        domain.is_valid.__annotations__["value"] = accepted


def _install() -> None:
    sys.meta_path.insert(0, ShimFinder())
    sys.meta_path.append(LastFinder())
    old.find_translation = find_translation
    _name_types_of_values()
    old.note = _notes.show
    serialization.preparation = serialization.calling(install_for_pickle)
    default.make = _make_executor
    prepare_children()


def _share_notes(directory: str | None) -> None:
    _notes.directory = directory
    preparation.prepare = functools.partial(install_in_loading_process, directory)


def _make_executor() -> Executor:
    from localtune.compat import cluster

    return cluster.ensure().make_executor()


def _is_installed() -> bool:
    return any(isinstance(each, ShimFinder) for each in sys.meta_path)


def _mention_real_ray() -> None:
    if PathFinder.find_spec("ray") is None:
        return
    from importlib.metadata import DistributionFinder, MetadataPathFinder

    for real in MetadataPathFinder.find_distributions(DistributionFinder.Context(name="ray")):
        say(
            f"localtune.compat: Ray {real.version} is installed in {real.locate_file('')}, and is "
            "not used: in this process and its workers, ray is localtune."
        )
        return


def _has_real_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and ray.__name__ != _RAY


def _refuse_real_ray() -> None:
    if _has_real_ray():
        where = os.path.dirname(getattr(sys.modules["ray"], "__file__", None) or "unknown")
        raise ImportError(
            f"The real Ray has been imported already, from {where}, so localtune cannot stand in "
            "for it. Call localtune.compat.install() before the first import of ray, or run the "
            "script with python -m localtune.compat SCRIPT.",
            name="ray",
        )
