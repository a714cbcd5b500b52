"""Values that are computed from the rest of a trial's configuration.

While the other values are chosen, a PendingCall takes the place of each computed value. Then all
calls run. A call that reads the value of another one runs after it::

    configuration with PendingCalls --> for each call: KnownConfig --> its function
                                            | reads a value that is not known yet
                                            +--> the call is put off to the next round

If every call of a round is put off, the calls depend on each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from localtune.error import RecursiveDependencyError
from localtune.search.computed import Computed, Expression
from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt

# The result of a call may hold a further call. This limits the depth of such results.
MAX_DEPTH = 20


class PendingCall:
    """A value that is still to be computed.

    Attributes:
        domain: Computes the value.
        path: Path of the value.
        depth: Number of calls in whose results this call is nested.
        is_done: Whether ``value`` is set.
        value: The result, which may hold further calls.
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
    """Ends a function that has read a value which is not known yet.

    It derives from BaseException so that ``except Exception`` in the function does not catch it.
    """

    def __init__(self, call: PendingCall) -> None:
        super().__init__(path_text(call.path))
        self.call = call


class KnownConfig(dict[Any, Any]):
    """The argument of a function of ``sample_from``: a copy of the known part of the configuration.

    Keys can be read as attributes, too. ``spec.config`` and ``spec["config"]`` are the whole
    configuration, so that functions written for ``spec`` and for ``config`` both work. Reading a
    value that is not known yet raises :class:`NeedsOther`.
    """

    __slots__ = ("_is_root", "_own", "_unknown")

    def __init__(self, own: PendingCall | None = None, is_root: bool = False) -> None:
        super().__init__()
        self._own = own
        self._is_root = is_root
        self._unknown: dict[Any, PendingCall] = {}

    def add(self, key: Any, value: Any) -> None:
        """Adds one item.

        Args:
            key: Key of the item.
            value: Its value, which may be or hold a pending call.
        """
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
        is_key = name not in KnownConfig.__slots__ and not name.startswith("__")
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
        # The function's own value is left out.
        for call in self._unknown.values():
            if call is not self._own:
                raise NeedsOther(call)


def run_calls(
    calls: list[PendingCall],
    tree: dict[Any, Any],
    compute: Callable[[PendingCall, KnownConfig], None],
) -> None:
    """Runs all calls of one configuration.

    Args:
        calls: The calls; ``compute`` appends the calls that are found in results.
        tree: The configuration, with the calls in it.
        compute: Runs one call on the known part of the configuration, and sets its value.

    Raises:
        RecursiveDependencyError: if calls need each other in a circle.
    """
    # Expressions run before the functions, as draws do.
    waiting = sorted(calls, key=lambda call: not isinstance(call.domain, Expression))
    seen = len(calls)
    while waiting:
        put_off: dict[PendingCall, PendingCall] = {}
        for call in waiting:
            try:
                compute(call, known_config(tree, call))
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


def known_config(tree: dict[Any, Any], own: PendingCall | None) -> KnownConfig:
    """Returns a copy of the known part of a configuration.

    Args:
        tree: The configuration, with pending calls in it.
        own: The call that the copy is made for; its own value is left out.
    """
    return _known_part(tree, own, is_root=True)


def with_results(value: Any) -> Any:
    """Returns a copy of ``value`` with the results in place of the calls."""
    if isinstance(value, PendingCall):
        return with_results(value.value)
    if isinstance(value, CONTAINERS):
        return rebuilt(value, [(key, with_results(item)) for key, item in children(value)])
    return value


def _known_part(
    tree: dict[Any, Any], own: PendingCall | None, is_root: bool = False
) -> KnownConfig:
    known = KnownConfig(own, is_root)
    for key, value in tree.items():
        known.add(key, value)
    return known


def _snapshot(value: Any, own: PendingCall | None) -> tuple[bool, Any]:
    """Returns (True, copy of the value), or (False, the pending call in it)."""
    if isinstance(value, PendingCall):
        return _snapshot(value.value, own) if value.is_done else (False, value)
    if isinstance(value, dict):
        return True, _known_part(value, own)
    if not isinstance(value, CONTAINERS):
        return True, value
    items = []
    for key, item in children(value):
        known, snapshot = _snapshot(item, own)
        if not known:
            return False, snapshot
        items.append((key, snapshot))
    return True, rebuilt(value, items)
