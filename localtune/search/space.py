"""SearchSpace: a checked search space from which configurations are drawn."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from localtune.error import SearchSpaceError
from localtune.search.calls import run_calls, with_results
from localtune.search.checks import grid_values
from localtune.search.containers import Path
from localtune.search.nodes import Node, Resolution, build, container_node, count_of


class Variant(NamedTuple):
    """One configuration.

    Attributes:
        evaluated: {path: value} of the values that were drawn or taken from a grid.
        config: The configuration. It shares no container with the search space or another
            variant.
    """

    evaluated: dict[Path, Any]
    config: dict[Any, Any]


class SearchSpace:
    """A checked search space from which configurations are drawn.

    Args:
        space: Configuration with domains, grids and expressions in it; it stays unchanged.

    Raises:
        SearchSpaceError: if ``space`` is no dict, or cannot be sampled.
    """

    def __init__(self, space: dict[Any, Any]) -> None:
        if not isinstance(space, dict):
            raise SearchSpaceError(f"A search space must be a dict, but got {space!r}.")
        self._root = _root(space)
        self._rng = random.Random()

    @property
    def count(self) -> int | None:
        """Number of grid combinations; None if it depends on choices with grids inside."""
        return None if self._root.has_open_choice else count_of(self._root.grids)

    def settled(self, label: str) -> SearchSpace:
        """Returns the space with a decision for each choice that has grids inside.

        Args:
            label: Seed of the decisions.
        """
        if not self._root.has_open_choice:
            return self
        new = object.__new__(SearchSpace)
        new._root = self._root.settle(random.Random(f"{label}/choice"))
        new._rng = self._rng
        return new

    def variant(self, label: str, index: int) -> Variant:
        """Returns one configuration of a space without open choices.

        Args:
            label: Seed of the draws.
            index: Number of the combination of grid values, from 0. The grid whose path sorts
                first varies fastest.

        Raises:
            SearchSpaceError: if a function or expression fails.
            RecursiveDependencyError: if they depend on each other in a circle.
        """
        self._rng.seed(label)
        resolution = Resolution(self._rng, label)
        resolution.choose_grid_values(self._root.grids, index)
        config = self._root.resolve(resolution)
        if resolution.calls:
            run_calls(resolution.calls, config, resolution.compute)
            config = with_results(config)
        evaluated = {path: with_results(value) for path, value in resolution.evaluated.items()}
        return Variant(evaluated, config)


def _root(space: dict[Any, Any]) -> Node:
    """Returns the node for a whole search space, whose value is a dict in each variant."""
    if space.keys() != {"grid_search"}:
        # At the top, {"eval": ...} is a parameter of that name, and no expression.
        return container_node(space, (), True, (id(space),))
    for value in grid_values("grid_search", space["grid_search"]):
        if not isinstance(value, dict):
            raise SearchSpaceError(
                f"A grid of whole configurations must have dicts as values, but got {value!r}."
            )
    return build(space, ())
