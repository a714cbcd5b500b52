"""What a process must do before it loads a trainable: it travels in the trainable's pickle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")

# Called, without arguments, in each process before it loads a trainable of this process. The
# callable can be pickled, and its second call has no effect.
prepare: Callable[[], None] | None = None


def with_preparation(trainable: Any) -> Any:
    """Returns an object whose pickle makes the loading process prepare itself first.

    The trainable's own modules may be loaded only then.

    Args:
        trainable: What the loading process gets.
    """
    return trainable if prepare is None else _Prepared(prepare, trainable)


class _Prepared:
    """Pickles as a call of two arguments, which are loaded one after the other."""

    def __init__(self, prepare: Callable[[], None], trainable: Any) -> None:
        self._prepare = prepare
        self._trainable = trainable

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _second, (Call(self._prepare), self._trainable)


class Call:
    """Is called while its pickle is loaded."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return self._function, ()


def _second(_prepared: None, trainable: _T) -> _T:
    return trainable
