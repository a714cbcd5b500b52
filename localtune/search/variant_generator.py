"""Functions that list the variants of a search space and name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localtune.error import RecursiveDependencyError
from localtune.search.containers import CONTAINERS, Path, children, path_order
from localtune.search.domains import Domain
from localtune.search.rng import RandomSource, derive_seed
from localtune.search.sample import grid_search
from localtune.search.space import SearchSpace, Variant
from localtune.search.variables import as_domain

__all__ = [
    "RecursiveDependencyError",
    "assign_value",
    "count_variants",
    "format_vars",
    "generate_variants",
    "grid_search",
    "parse_spec_vars",
    "variant_label",
]

_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_-]+")


def generate_variants(
    unresolved_spec: dict[Any, Any],
    constant_grid_search: bool = False,
    random_state: RandomSource = None,
) -> Iterator[Variant]:
    """Yields one sample of a search space for each combination of its grids' values.

    Args:
        unresolved_spec: Configuration with domains and grids in it; it stays unchanged.
        constant_grid_search: Whether random values are drawn once, and kept for all combinations
            of the grids.
        random_state: None, an integer seed, a ``random.Random``, or a generator of NumPy.

    Yields:
        ({path: value of each variable}, resolved configuration). The grid whose path sorts first
        varies fastest. Values that functions compute are not among the variables.

    Raises:
        SearchSpaceError: for a space that cannot be sampled, or if a function in it fails.

    Example:
        >>> from localtune.search.sample import sample_from
        >>> space = {"lr": grid_search([0.1, 0.01]), "size": sample_from(lambda c: c["lr"] * 10)}
        >>> [config for _, config in generate_variants(space)]
        [{'lr': 0.1, 'size': 1.0}, {'lr': 0.01, 'size': 0.1}]
    """
    seed = derive_seed(random_state)
    space = SearchSpace(unresolved_spec).settled(f"{seed}/0")
    for point in range(space.count or 0):
        yield space.variant(variant_label(seed, 0, point, constant_grid_search), point)


def variant_label(seed: int, sample: int, point: int, constant_grid_search: bool) -> str:
    """Returns the label that seeds the draws of one variant.

    Args:
        seed: Seed of the run.
        sample: Number of the sample.
        point: Number of the combination of grid values within the sample.
        constant_grid_search: Whether draws are the same for all points of a sample.
    """
    return f"{seed}/{sample}" if constant_grid_search else f"{seed}/{sample}/{point}"


def count_variants(spec: dict[Any, Any]) -> int | None:
    """Returns the number of variants of one sample of a search space.

    Returns:
        The number of combinations of the grids' values; None if a random choice has a grid
        inside, so that the number depends on the draw.

    Raises:
        SearchSpaceError: for a space that cannot be sampled.
    """
    return SearchSpace(spec).count


def parse_spec_vars(
    spec: Any,
) -> tuple[list[tuple[Path, Any]], list[tuple[Path, Domain]], list[tuple[Path, Domain]]]:
    """Separates a search space into constants, domains and grids.

    Args:
        spec: Configuration with domains and grids in it.

    Returns:
        Three lists: (path, value) of the constants; (path, domain) of the values that are drawn
        or computed; and (path, domain) of the grids, whose values are all tried.
    """
    fixed: list[tuple[Path, Any]] = []
    domains: list[tuple[Path, Domain]] = []
    grids: list[tuple[Path, Domain]] = []
    for path, value in _leaves(spec, ()):
        domain = as_domain(value, path)
        if domain is None:
            fixed.append((path, value))
        else:
            (grids if domain.is_grid() else domains).append((path, domain))
    return fixed, domains, grids


def assign_value(spec: Any, path: Path, value: Any) -> None:
    """Sets a value within a nested configuration.

    Args:
        spec: The configuration; changed in place.
        path: Keys of dicts and positions in lists, the outermost first; at least one.
        value: The new value.

    Raises:
        KeyError: if the container of the value does not exist.

    Example:
        >>> config = {"layers": [{"size": 8}]}
        >>> assign_value(config, ("layers", 0, "size"), 16)
        >>> config
        {'layers': [{'size': 16}]}
    """
    for part in path[:-1]:
        spec = spec[part]
    spec[path[-1]] = value


def format_vars(resolved_vars: Mapping[Path, Any]) -> str:
    """Returns the variables of one trial as text for its tag.

    Args:
        resolved_vars: {path: value}.

    Returns:
        ``name=value`` with commas between, sorted by path. The name is the last name of the path
        and the positions after it. Floats have four digits after the point. All characters but
        letters, digits, ``_`` and ``-`` are replaced by ``_``.

    Example:
        >>> format_vars({("opt", "lr"): 0.1, ("layers", 0): 64, ("act",): "relu 6"})
        'act=relu_6,layers_0=64,lr=0.1000'
    """
    paths = sorted(resolved_vars, key=path_order)
    return ",".join(f"{_name(path)}={_value(resolved_vars[path])}" for path in paths)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    inner = isinstance(value, CONTAINERS) and as_domain(value, path) is None and children(value)
    if not inner:
        yield path, value
    for key, item in inner or ():
        yield from _leaves(item, (*path, key))


def _name(path: Path) -> str:
    path = path or ("config",)
    start = len(path) - 1
    while start > 0 and isinstance(path[start], int):
        start -= 1
    return _NOT_IN_TAGS.sub("_", "_".join(map(str, path[start:])))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    name = getattr(value, "__name__", None)
    text = name if isinstance(name, str) else str(value)
    return _NOT_IN_TAGS.sub("_", text).strip("_")
