"""Reservations: what a run holds of a cluster.

::

      take(request) --> a held one that is idle, with the same bundles --> in use
            |                                                                |
            | none: ask the engine for one more                      give_back(key)
            v                                                                |
         asked --(granted)--> idle <-----------------------------------------+
            |                  |
            +------------------+--(nobody has wanted it for idle_s)--> released

A reservation takes an engine longer than a short trial runs. So a trial gives its reservation back
to the run, and the next one with the same request takes it over. What an engine has granted on a
node that is left out is held to the end: the engine would grant the same place again. No trial
waits for a reservation on a node that may be cut off: the run asks for one more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from localtune.execution.cluster.engine import Engine, Place
from localtune.resources import PlacementGroupFactory

# Idle reservations of other requests are released when one that was asked for waits so long.
_PATIENCE_S = 0.25
# A run that holds n reservations of a kind asks for n / _AHEAD further ones at a time, and for no
# more than _MOST_AHEAD: each of them is looked at whenever a trial waits.
_AHEAD = 4
_MOST_AHEAD = 64

_keys = itertools.count(1)


class Use(Enum):
    """Whether a worker can start on a node."""

    NOW = "now"
    SOON = "soon"  # its agent is starting, or is full
    PERHAPS = "perhaps"  # its agent was lost, and the node may be cut off for any time
    NEVER = "never"  # the node is left out


@dataclass(slots=True)
class _Group:
    """The reservations for one request.

    Attributes:
        asked: {key: since when} of those that are not granted.
        idle: {key: since when} of those that are granted and free, the latest one last.
        in_use: Keys of those that workers hold.
        wanted_at: When one was last wanted.
    """

    asked: dict[int, float] = field(default_factory=dict)
    idle: dict[int, float] = field(default_factory=dict)
    in_use: set[int] = field(default_factory=set)
    wanted_at: float = 0.0


class Reservations:
    """Holds the reservations of a run.

    Args:
        engine: Grants them.
        use_of: Returns whether a worker can start on a node.
        now: Returns the time in seconds.
        idle_s: How long a reservation is held that nobody needs.
    """

    def __init__(
        self,
        engine: Engine,
        use_of: Callable[[str], Use],
        now: Callable[[], float],
        idle_s: float,
    ) -> None:
        self._engine = engine
        self._use_of = use_of
        self._now = now
        self._idle_s = idle_s
        self._groups: dict[PlacementGroupFactory, _Group] = {}
        self._group_of: dict[int, _Group] = {}

    def take(self, request: PlacementGroupFactory) -> tuple[int, Sequence[Place]] | None:
        """Takes a reservation for a request, or asks for one.

        Returns:
            Its key and the places of the bundles; None if there is none now.
        """
        group = self._groups.setdefault(request, _Group())
        group.wanted_at = self._now()
        self._look(group)
        coming = 0
        for key in reversed(group.idle):
            places = self._engine.places(key)
            use = self._use_of(places[0].node_id) if places is not None else Use.NEVER
            if places is not None and use is Use.NOW:
                del group.idle[key]
                group.in_use.add(key)
                return key, places
            coming += use is Use.SOON
        self._ask(request, group, coming)
        return None

    def give_back(self, key: int) -> None:
        """Takes back a reservation whose worker has gone."""
        group = self._group_of[key]
        group.in_use.remove(key)
        if self._engine.places(key) is None:
            self._release(key)
        else:
            group.idle[key] = self._now()

    def tidy(self) -> None:
        """Releases what nobody has wanted for a time, and what has lost a node."""
        too_old = self._now() - self._idle_s
        for group in self._groups.values():
            self._look(group)
            for key, since in list(group.idle.items()):
                places = self._engine.places(key)
                if places is None or (
                    since < too_old and self._use_of(places[0].node_id) is not Use.NEVER
                ):
                    self._release(key)
            if group.wanted_at < too_old:
                for key in list(group.asked):
                    self._release(key)

    def oldest_wait_s(self) -> float:
        """Returns how long the engine has not granted what is wanted; 0 without such a wait."""
        asked = [since for group in self._groups.values() for since in group.asked.values()]
        return self._now() - min(asked) if asked else 0.0

    @property
    def held_count(self) -> int:
        """How many reservations are granted."""
        return sum(len(group.idle) + len(group.in_use) for group in self._groups.values())

    def clear(self) -> None:
        """Forgets all reservations; the engine gives them back."""
        self._groups.clear()
        self._group_of.clear()

    def _look(self, group: _Group) -> None:
        """Looks for what was granted."""
        for key in [key for key in group.asked if self._engine.places(key) is not None]:
            del group.asked[key]
            group.idle[key] = self._now()

    def _ask(self, request: PlacementGroupFactory, group: _Group, coming: int) -> None:
        """Asks for further reservations.

        Args:
            request: The request.
            group: Its reservations.
            coming: How many idle ones can be used soon.
        """
        now = self._now()
        wanted = min(max(1, len(group.in_use) // _AHEAD), _MOST_AHEAD) - coming
        while len(group.asked) < wanted:
            key = next(_keys)
            self._group_of[key] = group
            group.asked[key] = now
            self._engine.reserve(key, request.bundles, request.strategy)
        if any(now - since > _PATIENCE_S for since in group.asked.values()):
            for other in self._groups.values():
                if other is not group:
                    for key in list(other.idle):
                        self._release(key)

    def _release(self, key: int) -> None:
        group = self._group_of.pop(key)
        group.asked.pop(key, None)
        group.idle.pop(key, None)
        group.in_use.discard(key)
        self._engine.release(key)
