"""``ray.put``, ``ray.get`` and ``ray.wait``."""

from __future__ import annotations

import time
from typing import Any

from localtune.compat import cluster
from localtune.compat.objects import ObjectRef
from localtune.compat.progress import progress


def put(value: Any, weakref: bool = False, *, _owner: Any = None) -> ObjectRef:
    """Stores an object for this process and its workers.

    Args:
        value: The object; anything that can be pickled. The data of its arrays is shared, and
            read-only for those who get it.
        weakref: Accepted for compatibility, without effect.
        _owner: Accepted for compatibility, without effect.

    Returns:
        A reference to the object.

    Raises:
        TypeError: for a reference, or a value that cannot be pickled.
        ray.exceptions.ObjectStoreFullError: if there is no room.
    """
    if isinstance(value, ObjectRef):
        raise TypeError(
            f"ray.put() takes a value, but got {value}. To put the reference itself, put a list "
            "that contains it."
        )
    return cluster.ensure().store.put(value)


def get(object_refs: Any, timeout: float | None = None) -> Any:
    """Returns the values of references; waits until they exist.

    Args:
        object_refs: A reference, or a list of references.
        timeout: Most seconds to wait; None is no limit.

    Returns:
        The value, or a list of values. Their arrays are read-only.

    Raises:
        ray.exceptions.RayTaskError: if a remote function has raised an error; it is an instance of
            that error's class, too.
        ray.exceptions.GetTimeoutError: if a value does not exist in time.
        ray.exceptions.ObjectLostError: if a value does not exist any more.
        ValueError: for what is neither a reference nor a list.
        TypeError: for a list with something else in it.
    """
    if isinstance(object_refs, ObjectRef):
        return object_refs.value(timeout)
    if not isinstance(object_refs, list):
        raise ValueError(
            "ray.get() takes a reference or a list of references, but got "
            f"{type(object_refs).__name__}: {_short(object_refs)}."
        )
    for each in object_refs:
        if not isinstance(each, ObjectRef):
            raise TypeError(
                f"ray.get() takes a list of references, but {_short(each)} in it is none."
            )
    if timeout is None:
        return [each.value() for each in object_refs]
    give_up_at = time.monotonic() + timeout
    return [each.value(max(give_up_at - time.monotonic(), 0.0)) for each in object_refs]


def wait(
    ray_waitables: list[ObjectRef],
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[ObjectRef], list[ObjectRef]]:
    """Waits until some of several references have values.

    Args:
        ray_waitables: The references; each one once.
        num_returns: How many of them must have values.
        timeout: Most seconds to wait; None is no limit.
        fetch_local: Accepted for compatibility, without effect.

    Returns:
        The references that have values, ``num_returns`` at most, and the others.

    Raises:
        TypeError: for what is no list of references.
        ValueError: for a reference that is given twice, or a bad number.
    """
    if not isinstance(ray_waitables, list):
        raise TypeError(f"ray.wait() takes a list of references, but got {_short(ray_waitables)}.")
    for each in ray_waitables:
        if not isinstance(each, ObjectRef):
            raise TypeError(
                f"ray.wait() takes a list of references, but {_short(each)} in it is none."
            )
    if len(set(ray_waitables)) < len(ray_waitables):
        raise ValueError("ray.wait() takes each reference once, but got one of them twice.")
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout must be at least 0, or None, but got {timeout!r}.")
    if not ray_waitables:
        return [], []
    if not 1 <= num_returns <= len(ray_waitables):
        raise ValueError(
            f"num_returns must be 1 to {len(ray_waitables)}, the number of references, but got "
            f"{num_returns!r}."
        )
    progress.wait_for(lambda: _count_ready(ray_waitables) >= num_returns, timeout)
    ready = [each for each in ray_waitables if each.is_ready()][:num_returns]
    chosen = set(ready)
    return ready, [each for each in ray_waitables if each not in chosen]


def _count_ready(refs: list[ObjectRef]) -> int:
    return sum(each.is_ready() for each in refs)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
