"""SpaceParameter: what a trainable is told about one parameter of the search space of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SpaceParameter:
    """One parameter that configurations of a search space can have.

    Attributes:
        path: Keys of the dicts around it, the outermost first, and its own key.
        is_certain: Whether every configuration has it.
        values: The values that are known before a draw: a constant, or the values of a choice.
        is_open: Whether only the configuration shows what it holds, since a function computes it.
        is_group: Whether it is a dict, and its own entries are parameters.
    """

    path: tuple[Any, ...]
    is_certain: bool = True
    values: tuple[Any, ...] = ()
    is_open: bool = False
    is_group: bool = False
