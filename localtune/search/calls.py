"""Values that are computed from the rest of a trial's configuration.

While the other values are chosen, a PendingCall stands where a computed one will be. Then all
calls run, in any order that their reading of each other allows::

    tree with PendingCalls --> for each call: ConfigView of what is known --> its function
                                   | reads a value that is not known yet
                                   +--> the call is put off to the next round

A round in which every call was put off is a circle.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from localtune.error import RecursiveDependencyError
from localtune.search.computed import Computed, Expression
from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt

# A call whose result holds a call, whose result holds a call, ...
MAX_DEPTH = 20


class PendingCall:
    """A value that is still to be computed.

    Attributes:
        domain: How to compute it.
        path: Where the value will stand.
        depth: How many calls it came out of.
        is_done: Whether ``value`` is there.
        value: The result; may hold further calls.
    """

    __slots__ = ("depth", "domain", "is_done", "path", "value")

    def __init__(self, domain: Computed, path: Path, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise RecursiveDependencyError(
                f"A sample_from may return another, at most {MAX_DEPTH} deep, "
                f"but {path_text(path)!r} goes deeper."
            )
        self.domain = domain
        self.path = path
        self.depth = depth
        self.is_done = False
        self.value: Any = None


class NeedsOther(BaseException):
    """Unwinds a function that read a value which is not known yet.

    It derives from BaseException so that ``except Exception`` in the function lets it pass.
    """

    def __init__(self, call: PendingCall) -> None:
        super().__init__(path_text(call.path))
        self.call = call


class ConfigView(dict[Any, Any]):
    """What a function of ``sample_from`` gets: a copy of the configuration as far as it is known.

    Keys can be read as attributes too, and ``spec.config`` or ``spec["config"]`` is the whole, so
    that a function written for ``spec`` works like one written for ``config``. To read a value
    that is not known yet raises :class:`NeedsOther`.
    """

    __slots__ = ("_is_root", "_own", "_unknown")

    def __init__(self, own: PendingCall | None = None, is_root: bool = False) -> None:
        super().__init__()
        self._own = own
        self._is_root = is_root
        self._unknown: dict[Any, PendingCall] = {}

    def add(self, key: Any, value: Any) -> None:
        """Takes in one item; its value may be, or hold, something that is not known yet."""
        known, snapshot = _snapshot(value, self._own)
        if known:
            dict.__setitem__(self, key, snapshot)
        else:
            self._unknown[key] = snapshot

    def __missing__(self, key: Any) -> Any:
        self._check(key)
        if key == "config" and self._is_root:
            return self
        raise KeyError(key)

    def __getattr__(self, name: str) -> Any:
        is_key = name not in ConfigView.__slots__ and not name.startswith("__")
        if is_key and (name in self or (name == "config" and self._is_root)):
            return self[name]
        raise AttributeError(f"There is no {name!r} in the configuration.")

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._unknown

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def pop(self, key: Any, *default: Any) -> Any:
        self._check(key)
        return super().pop(key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self._check(key)
        return super().setdefault(key, default)

    def __iter__(self) -> Iterator[Any]:
        self._check_all()
        return super().__iter__()

    def keys(self) -> KeysView[Any]:  # type: ignore[override]
        self._check_all()
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self._check_all()
        return super().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        self._check_all()
        return super().items()

    def copy(self) -> dict[Any, Any]:
        return dict(self.items())

    def __repr__(self) -> str:
        return repr(self.copy())

    def _check(self, key: Any) -> None:
        if key in self._unknown:
            raise NeedsOther(self._unknown[key])

    def _check_all(self) -> None:
        # The function's own value cannot be part of what it sees.
        for call in self._unknown.values():
            if call is not self._own:
                raise NeedsOther(call)


def run_calls(
    calls: list[PendingCall],
    tree: dict[Any, Any],
    compute: Callable[[PendingCall, ConfigView], None],
) -> None:
    """Runs all calls of one configuration.

    Args:
        calls: The calls; ``compute`` appends those that results bring along.
        tree: The configuration, with the calls standing in it.
        compute: Runs one call on a view of the configuration and sets its value.

    Raises:
        RecursiveDependencyError: if calls need each other in a circle.
    """
    # Expressions are resolved like draws: before the functions.
    waiting = sorted(calls, key=lambda call: not isinstance(call.domain, Expression))
    seen = len(calls)
    while waiting:
        put_off: dict[PendingCall, PendingCall] = {}
        for call in waiting:
            try:
                compute(call, view_of(tree, call))
            except NeedsOther as needed:
                put_off[call] = needed.call
        if len(put_off) == len(waiting):
            needs = ", ".join(
                f"{path_text(call.path)!r} needs {path_text(other.path)!r}"
                for call, other in put_off.items()
            )
            raise RecursiveDependencyError(
                f"Parts of a search space must not depend on each other in a circle, but {needs}."
            )
        waiting = [*put_off, *calls[seen:]]
        seen = len(calls)


def view_of(tree: dict[Any, Any], own: PendingCall | None) -> ConfigView:
    """A copy of the configuration for the function of ``own``."""
    return _view(tree, own, is_root=True)


def with_results(value: Any) -> Any:
    """A copy of ``value`` in which results stand in the places of their calls."""
    if isinstance(value, PendingCall):
        return with_results(value.value)
    if isinstance(value, CONTAINERS):
        return rebuilt(value, [(key, with_results(item)) for key, item in children(value)])
    return value


def _view(tree: dict[Any, Any], own: PendingCall | None, is_root: bool = False) -> ConfigView:
    view = ConfigView(own, is_root)
    for key, value in tree.items():
        view.add(key, value)
    return view


def _snapshot(value: Any, own: PendingCall | None) -> tuple[bool, Any]:
    """(True, copy of the value), or (False, the call that it waits for)."""
    if isinstance(value, PendingCall):
        return _snapshot(value.value, own) if value.is_done else (False, value)
    if isinstance(value, dict):
        return True, _view(value, own)
    if not isinstance(value, CONTAINERS):
        return True, value
    items = []
    for key, item in children(value):
        known, snapshot = _snapshot(item, own)
        if not known:
            return False, snapshot
        items.append((key, snapshot))
    return True, rebuilt(value, items)
