"""A search space as a tree of nodes.

The tree is built once. Each configuration is drawn by a walk over the tree::

    {"lr": uniform(..), "opt": grid_search(["sgd", {"name": "adam", "beta": choice(..)}])}

    ContainerNode {"lr": .., "opt": ..}
      |-- DomainNode uniform
      +-- GridNode
            |-- ConstantNode "sgd"
            +-- ContainerNode {"name": "adam", "beta": ..}
                  +-- DomainNode choice

A configuration depends only on the number of its combination of grid values and on the label that
seeds its draws. No draw depends on other configurations.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from math import prod
from typing import Any

from localtune.error import SearchSpaceError
from localtune.search.calls import KnownConfig, PendingCall
from localtune.search.computed import Computed, Expression
from localtune.search.containers import (
    CONTAINERS,
    Path,
    children,
    path_order,
    path_text,
    rebuilt,
)
from localtune.search.domains import Categorical, Domain
from localtune.search.variables import as_domain

_ATOMS = frozenset({int, float, str, bool, type(None), bytes, complex})


class Resolution:
    """The state of drawing one variant."""

    __slots__ = ("calls", "depth", "digits", "evaluated", "label", "rng")

    def __init__(self, rng: random.Random, label: str) -> None:
        self.rng = rng
        self.label = label
        self.digits: dict[Path, int] = {}  # {path of a grid: number of its variant}
        self.evaluated: dict[Path, Any] = {}
        self.calls: list[PendingCall] = []
        self.depth = 0

    def choose_grid_values(self, grids: Iterable[GridNode], index: int) -> None:
        """Chooses a variant of each grid.

        Args:
            grids: The grids.
            index: Number of the combination of all grids, from 0.
        """
        for grid in grids:
            index, self.digits[grid.path] = divmod(index, grid.count)

    def compute(self, call: PendingCall, config: KnownConfig) -> None:
        """Runs one call and sets its value.

        Args:
            call: The call.
            config: The known part of the configuration.
        """
        try:
            value = call.domain.evaluate(config, self.rng)
        except Exception as error:
            raise SearchSpaceError(
                f"{call.domain!r} at {path_text(call.path)!r} failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        node = build(value, call.path, may_hold_grids=False)
        evaluated = self.evaluated
        # Values in the result of a function are not among the evaluated parameters.
        self.evaluated, self.depth = {}, call.depth + 1
        call.value = node.resolve(self)
        self.evaluated, self.depth = evaluated, 0
        call.is_done = True
        if isinstance(call.domain, Expression):
            evaluated[call.path] = call.value


class Node:
    """Base class of nodes: one value of a search space.

    Attributes:
        path: Path of the value.
        grids: The grids in this subtree, sorted by path. Grids inside a grid's values are left
            out.
        has_open_choice: Whether this subtree has a choice with grids inside.
        is_constant: Whether nothing in this subtree is drawn, computed or taken from a grid.
    """

    __slots__ = ("grids", "has_open_choice", "is_constant", "path")

    def __init__(
        self,
        path: Path,
        grids: Iterable[GridNode] = (),
        has_open_choice: bool = False,
        is_constant: bool = False,
    ) -> None:
        self.path = path
        self.grids = tuple(sorted(grids, key=lambda grid: path_order(grid.path)))
        self.has_open_choice = has_open_choice
        self.is_constant = is_constant

    def resolve(self, resolution: Resolution) -> Any:
        """Returns the node's value in one variant."""
        raise NotImplementedError

    def settle(self, rng: random.Random) -> Node:
        """Returns the node with a decision for each choice that has grids inside."""
        return self


class ConstantNode(Node):
    """A constant, which all variants share."""

    __slots__ = ("value",)

    def __init__(self, value: Any, path: Path) -> None:
        super().__init__(path, is_constant=True)
        self.value = value

    def resolve(self, resolution: Resolution) -> Any:
        return self.value


class ContainerNode(Node):
    """A dict, list, tuple or set, copied for each variant."""

    __slots__ = ("template", "varying")

    def __init__(self, template: Any, nodes: list[tuple[Any, Node]], path: Path) -> None:
        super().__init__(
            path,
            grids=[grid for _, node in nodes for grid in node.grids],
            has_open_choice=any(node.has_open_choice for _, node in nodes),
            is_constant=all(node.is_constant for _, node in nodes),
        )
        self.template = template
        self.varying = [(key, node) for key, node in nodes if not isinstance(node, ConstantNode)]

    def resolve(self, resolution: Resolution) -> Any:
        return rebuilt(
            self.template, [(key, node.resolve(resolution)) for key, node in self.varying]
        )

    def settle(self, rng: random.Random) -> Node:
        if not self.has_open_choice:
            return self
        nodes = [(key, node.settle(rng)) for key, node in self.varying]
        return ContainerNode(self.template, nodes, self.path)


class DomainNode(Node):
    """A value that is drawn."""

    __slots__ = ("categories", "domain", "options")

    def __init__(self, domain: Domain, options: dict[int, Node], path: Path) -> None:
        super().__init__(
            path, has_open_choice=any(o.grids or o.has_open_choice for o in options.values())
        )
        self.domain = domain
        self.options = options  # {id of the category: its node}
        # Keeps the categories alive, so that their ids stay unique.
        self.categories = list(domain.categories) if isinstance(domain, Categorical) else []

    def resolve(self, resolution: Resolution) -> Any:
        value = self.domain.sample(random_state=resolution.rng)
        if type(value) not in _ATOMS:
            resolution.evaluated[self.path] = None  # so that it precedes the values inside it
            value = self._node_of(value).resolve(resolution)
        resolution.evaluated[self.path] = value
        return value

    def settle(self, rng: random.Random) -> Node:
        if not self.has_open_choice:
            return self
        return PickedNode(self._node_of(self.domain.sample(random_state=rng)).settle(rng))

    def _node_of(self, value: Any) -> Node:
        return self.options.get(id(value)) or build(value, self.path, may_hold_grids=False)


class PickedNode(Node):
    """A choice that has been decided."""

    __slots__ = ("option",)

    def __init__(self, option: Node) -> None:
        super().__init__(option.path, grids=option.grids)
        self.option = option

    def resolve(self, resolution: Resolution) -> Any:
        resolution.evaluated[self.path] = None  # so that it precedes the values inside it
        value = resolution.evaluated[self.path] = self.option.resolve(resolution)
        return value


class GridNode(Node):
    """A value that is taken from a grid.

    Attributes:
        options: The node of each value.
        count: Number of variants of all values together.
    """

    __slots__ = ("count", "options")

    def __init__(self, options: list[Node], path: Path) -> None:
        super().__init__(
            path, grids=[], has_open_choice=any(option.has_open_choice for option in options)
        )
        self.grids = (self,)
        self.options = options
        self.count = sum(count_of(option.grids) for option in options)

    def resolve(self, resolution: Resolution) -> Any:
        option, index = self._option_of(resolution.digits[self.path])
        resolution.choose_grid_values(option.grids, index)
        resolution.evaluated[self.path] = None  # keeps its place before those inside it
        rng = resolution.rng
        if not option.is_constant:
            # So that draws beside the grid do not depend on how many are made inside it.
            resolution.rng = random.Random(f"{resolution.label}{self.path}")
        value = resolution.evaluated[self.path] = option.resolve(resolution)
        resolution.rng = rng
        return value

    def settle(self, rng: random.Random) -> Node:
        if not self.has_open_choice:
            return self
        return GridNode([option.settle(rng) for option in self.options], self.path)

    def _option_of(self, index: int) -> tuple[Node, int]:
        if self.count == len(self.options):
            return self.options[index], 0
        for option in self.options:
            size = count_of(option.grids)
            if index < size:
                return option, index
            index -= size
        raise IndexError(index)


class CallNode(Node):
    """A value that is computed after all other values are known."""

    __slots__ = ("domain",)

    def __init__(self, domain: Computed, path: Path) -> None:
        super().__init__(path)
        self.domain = domain

    def resolve(self, resolution: Resolution) -> Any:
        call = PendingCall(self.domain, self.path, resolution.depth)
        resolution.calls.append(call)
        return call


def build(
    value: Any, path: Path, may_hold_grids: bool = True, around: tuple[int, ...] = ()
) -> Node:
    """Returns the node for a value of a search space.

    Args:
        value: Any value.
        path: Path of the value.
        may_hold_grids: Whether grids are allowed in the value.
        around: Ids of the containers around the value.

    Raises:
        SearchSpaceError: for a value that cannot be sampled, or a container inside itself.
    """
    if type(value) in _ATOMS:
        return ConstantNode(value, path)
    if id(value) in around:
        raise SearchSpaceError(
            f"A search space must not contain itself, but {path_text(path)!r} does."
        )
    around = (*around, id(value))
    domain = as_domain(value, path)
    if domain is not None:
        return _domain_node(domain, path, may_hold_grids, around)
    if isinstance(value, KnownConfig):
        value = value.copy()
    if not isinstance(value, CONTAINERS):
        return ConstantNode(value, path)
    return container_node(value, path, may_hold_grids, around)


def container_node(value: Any, path: Path, may_hold_grids: bool, around: tuple[int, ...]) -> Node:
    """Returns the node for a dict, list, tuple or set; arguments as for :func:`build`.

    Args:
        value: The container.
        path: Path of the container.
        may_hold_grids: Whether grids are allowed in the container.
        around: Ids of this container and those around it.
    """
    nodes = [
        (key, build(item, (*path, key), may_hold_grids, around)) for key, item in children(value)
    ]
    if isinstance(value, tuple) and all(isinstance(node, ConstantNode) for _, node in nodes):
        return ConstantNode(value, path)
    return ContainerNode(rebuilt(value, ()), nodes, path)


def _domain_node(domain: Domain, path: Path, may_hold_grids: bool, around: tuple[int, ...]) -> Node:
    if isinstance(domain, Computed):
        return CallNode(domain, path)
    if domain.is_grid() and not may_hold_grids:
        raise SearchSpaceError(
            f"A grid_search must be part of the search space from the start, but a function or a "
            f"draw returned one at {path_text(path)!r}."
        )
    values = domain.categories if isinstance(domain, Categorical) else []
    if domain.is_grid():
        return GridNode([build(each, path, True, around) for each in values], path)
    if type(domain).sample is Domain.sample:
        domain.get_sampler()  # so that a missing sampler is an error before the run
    options = {
        id(each): build(each, path, may_hold_grids, around)
        for each in values
        if type(each) not in _ATOMS
    }
    return DomainNode(domain, options, path)


def count_of(grids: Iterable[GridNode]) -> int:
    """Returns the number of combinations of grids."""
    return prod(grid.count for grid in grids)
