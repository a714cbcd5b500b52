"""Where the names of Ray are in localtune."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator

import localtune
from localtune.compat.places import PLACES

# Modules of Ray whose names are attributes of localtune.
_FACES = {
    "ray.air",
    "ray.air.checkpoint",
    "ray.air.config",
    "ray.air.result",
    "ray.air.session",
    "ray.train",
    "ray.train.context",
    "ray.train.session",
}
_INTEGRATIONS = "ray.air.integrations"
# Modules of localtune in which a name of an earlier release is looked for, if its module is gone.
_LOOKED_THROUGH = (
    "localtune",
    "localtune.schedulers",
    "localtune.search",
    "localtune.stopper",
    "localtune.logger",
    "localtune.experiment",
)


@functools.cache
def today(origin: str) -> str | None:
    """Returns the dotted name of localtune that stands for one of Ray Tune.

    Args:
        origin: A dotted name, such as ``ray.tune.suggest.hyperopt.HyperOptSearch``, or one below
            ``localtune`` that was made of it.

    Returns:
        ``localtune.search.hyperopt.HyperOptSearch``; None if there is none.

    Example:
        >>> today("ray.air.config.RunConfig")
        'localtune.RunConfig'
        >>> today("ray.air.session") is None
        True
    """
    root, _, rest = origin.partition(".")
    if root == "localtune":
        origin = f"ray.tune.{rest}" if rest else "ray.tune"
    return next((each for each in _candidates(origin) if exists(each)), None)


def _candidates(origin: str) -> Iterator[str]:
    if origin == "ray.tune":
        yield "localtune"
        return
    if origin.startswith("ray.tune."):
        yield "localtune." + origin.removeprefix("ray.tune.")
    if origin == _INTEGRATIONS or origin.startswith(_INTEGRATIONS + "."):
        yield "localtune.integration" + origin.removeprefix(_INTEGRATIONS)
    module, _, last = origin.rpartition(".")
    if module in _FACES and last in localtune.__all__:
        yield f"localtune.{last}"
    yield from _at_old_places(origin)
    if origin.startswith("ray.tune.") and last[:1].isupper():
        yield from (f"{each}.{last}" for each in _LOOKED_THROUGH)


def _at_old_places(origin: str) -> Iterator[str]:
    module, rest = origin, ""
    while module:
        if module in PLACES:
            yield PLACES[module] + rest
        module, _, last = module.rpartition(".")
        rest = f".{last}{rest}"


@functools.cache
def exists(name: str) -> bool:
    """Returns whether there is a module, or a name in a module, of localtune.

    Args:
        name: Its dotted name.
    """
    if is_module(name):
        return True
    module, _, last = name.rpartition(".")
    if not module:
        return False
    if is_module(module):
        try:
            return hasattr(importlib.import_module(module), last)
        except ImportError:
            # The library that it connects with is missing here.
            spec = importlib.util.find_spec(module)
            source = getattr(spec and spec.loader, "get_source", lambda _: "")(module)
            return f" {last}(" in source or f"\n{last} =" in source
    # A method of a class, such as Checkpoint.from_directory.
    above, _, attribute = module.rpartition(".")
    if not is_module(above) or not exists(module):
        return False
    try:
        return hasattr(getattr(importlib.import_module(above), attribute), last)
    except (AttributeError, ImportError):
        return True


@functools.cache
def is_module(name: str) -> bool:
    """Returns whether there is a module of localtune of this name.

    Args:
        name: Its dotted name.
    """
    if name.partition(".")[0] != "localtune":
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
